// What a frontend answers is what its document describes: whole answers, every event of a stream, and each status that it can be brought to.
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFrontend, type Frontend } from "@dyn/frontend";
import { startMockWorker, type MockWorker } from "@dyn/mock-worker";
import { createRuntime, type Runtime } from "@dyn/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseFaults } from "../../packages/mock-worker/dist/faults.js";
import { errorTable } from "../../packages/runtime/src/errors.ts";
import { workerCodes } from "../../packages/runtime/src/worker-errors.ts";
import { eventually, root, startCluster } from "../support/cluster.ts";
import {
  closeSchemas,
  createJudge,
  describeFrontend,
  escapePointer,
  findResponse,
  judgeEvents,
  readEvents,
} from "../support/openapi.ts";
import type { Audience } from "../../packages/runtime/src/http/callers.ts";
import { dial } from "../support/http-client.ts";
import { refused, refusedAtOnce } from "../runtime/http/faults.ts";

const document = closeSchemas(describeFrontend());
const judge = createJudge(document);
const key = "sk-key-of-team-a-0123456789";

let directory: string;
let runtime: Runtime;
let frontend: Frontend;
/** Asks for keys. */
let strict: Frontend;
const workers: MockWorker[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "dyn-openapi-"));
  const config = { fileKv: directory, log: "off" };
  const apiKeysFile = join(directory, "api-keys");
  await writeFile(apiKeysFile, `${createHash("sha256").update(key).digest("hex")} team-a\n`);
  runtime = await createRuntime({ config });
  frontend = await createFrontend({ runtime, httpPort: 0, bodyLimitBytes: 1 * 1024 * 1024, sseKeepAliveMs: 0 });
  strict = await createFrontend({ runtime, httpPort: 0, apiKeysFile });
  const models = [...workerCodes].flatMap((code) => [`${code}@0`, `${code}@1`]);
  const start = (modelName: string, fault = ""): Promise<MockWorker> => {
    const component = modelName.replace(/\W|_/g, "-");
    return startMockWorker({ config, modelName, component, migrationLimit: 0, fault: parseFaults(fault) });
  };
  workers.push(await start("mock"), ...(await Promise.all(models.map((name) => start(name, `error:${name}`)))));
  await eventually("all models", async () => {
    const listed = await (await fetch(`${frontend.url}/v1/models`)).text();
    return ["mock", ...models].every((name) => listed.includes(`"${name}"`));
  });
});

afterAll(async () => {
  for (const each of [strict, frontend, ...workers, runtime]) await each[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
});

interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** Fails if the document does not say so. */
function expectDescribed(method: string, path: string, { status, headers, body }: Answer): void {
  const { pointer, response } = findResponse(document, method, path, status);
  const ours = Object.keys(document.components.headers).filter((name) => headers.has(name));
  expect(Object.keys(response.headers ?? {})).toEqual(expect.arrayContaining(ours));
  expect(ours).toEqual(expect.arrayContaining(["request-id", "x-request-id"]));
  for (const name of ["retry-after", "www-authenticate", "allow"])
    expect(headers.has(name), name).toBe(name in (response.headers ?? {}));
  for (const name of ours)
    expect(judge(`/components/headers/${name}/schema`)(headers.get(name)), `${name}: ${headers.get(name)}`).toEqual([]);
  if (!response.content) return expect(body).toBe("");
  const type = headers.get("content-type") ?? "";
  const known = [type, type.replace(/;.*/, "")].find((each) => response.content?.[each]) ?? type;
  const media = response.content[known];
  if (!media) throw new Error(`${method} ${path} ${status} has no ${type}`);
  const at = `${pointer}/content/${escapePointer(known)}`;
  if (known === "text/event-stream") return expect(judgeEvents(judge, at, media, readEvents(body))).toEqual([]);
  const value: unknown = known === "application/json" ? JSON.parse(body) : body;
  expect(judge(`${at}/schema`)(value), body).toEqual([]);
}

async function read(response: Response): Promise<Answer> {
  return { status: response.status, headers: new Map(response.headers), body: await response.text() };
}

interface Sent {
  readonly url?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

async function send(path: string, { url = frontend.url, method, headers, body }: Sent = {}): Promise<Answer> {
  const text = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
  const verb = method ?? (body === undefined ? "GET" : "POST");
  const init = { method: verb, headers: { "content-type": "application/json", ...headers } };
  return read(await fetch(`${url}${path}`, { ...init, ...(text !== undefined && { body: text }) }));
}

type ToBody = (model: string, more?: object) => Record<string, unknown>;

const messages = [{ role: "user", content: "one two three" }];
const inference: readonly (readonly [path: string, toBody: ToBody])[] = [
  ["/v1/chat/completions", (model, more) => ({ model, messages, ...more })],
  ["/v1/completions", (model, more) => ({ model, prompt: "one two three", ...more })],
  ["/v1/messages", (model, more) => ({ model, max_tokens: 9, messages, ...more })],
];

describe.each(inference)("%s", (path, toBody) => {
  const isAnthropic = path === "/v1/messages";

  test("whole answers", async () => {
    const more = isAnthropic
      ? [{}, { stop_sequences: ["two"] }, { max_tokens: 1 }]
      : [{}, { stop: "two" }, { max_tokens: 1 }, { n: 2 }, path === "/v1/completions" ? { echo: true } : { seed: 1 }];
    for (const each of more) {
      const answer = await send(path, { body: toBody("mock", each) });
      expect(answer.status).toBe(200);
      expectDescribed("POST", path, answer);
    }
  });

  test("every event of a stream, and of one that fails", async () => {
    const more = isAnthropic ? [{}] : [{}, { n: 2, stream_options: { include_usage: true } }];
    for (const each of more) {
      const answer = await send(path, { body: toBody("mock", { stream: true, ...each }) });
      expect(readEvents(answer.body).length).toBeGreaterThan(4);
      expectDescribed("POST", path, answer);
    }
    for (const code of workerCodes) {
      const answer = await send(path, { body: toBody(`${code}@1`, { stream: true }) });
      expect(answer.body).toContain('"error"');
      expectDescribed("POST", path, answer);
    }
  });

  test("what an engine may say", async () => {
    for (const code of workerCodes) {
      const answer = await send(path, { body: toBody(`${code}@0`) });
      expect(answer.status).toBe(errorTable[code].status);
      expectDescribed("POST", path, answer);
    }
  });

  test("what is wrong with the request itself", async () => {
    const wrong: readonly (readonly [status: number, sent: Sent])[] = [
      [400, { body: "{" }],
      [400, { body: toBody("mock", { temperature: 3 }) }],
      [400, { body: toBody("mock", { top_p: "x" }) }],
      [400, { body: toBody("mock"), headers: { "x-request-timeout-ms": "0" } }],
      [400, { body: toBody("mock"), headers: { "x-worker-instance-id": "x" } }],
      [404, { body: toBody("nobody's") }],
      [413, { body: toBody("mock", { fill: "x".repeat(2 ** 20) }) }],
      [415, { body: toBody("mock"), headers: { "content-type": "text/plain" } }],
      [415, { body: toBody("mock"), headers: { "content-encoding": "lzma" } }],
      [401, { body: toBody("mock"), url: strict.url }],
      [503, { body: toBody("mock"), headers: { "x-worker-instance-id": "7" } }],
    ];
    for (const [status, sent] of wrong) {
      const answer = await send(path, sent);
      expect([answer.status, answer.body]).toEqual([status, answer.body]);
      expectDescribed("POST", path, answer);
    }
  });
});

/** The answer to bytes that no client library sends. */
async function sendBytes(url: string, bytes: string): Promise<Answer> {
  using client = dial(Number(new URL(url).port));
  client.socket.write(Buffer.from(bytes, "latin1"));
  await eventually("the end", client.isClosed);
  const [head = "", ...body] = client.text().split("\r\n\r\n");
  const [first = "", ...lines] = head.split("\r\n");
  const headers = new Map(
    lines.map((each) => [each.slice(0, each.indexOf(":")).toLowerCase(), each.slice(each.indexOf(":") + 2)]),
  );
  return { status: Number(first.split(" ")[1]), headers, body: body.join("\r\n\r\n") };
}

test("what is no request, or may not be answered, at every route", async () => {
  await using late = await createFrontend({ runtime, httpPort: 0, headerTimeoutMs: 20 });
  const misdirected = "GET /live HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
  const unmet = "GET /live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: x\r\n\r\n";
  const asked = [...refused, ...refusedAtOnce].map(({ bytes }) => [frontend.url, bytes] as const);
  asked.push([frontend.url, misdirected], [frontend.url, unmet], [late.url, "GET /live HTTP/1.1\r\nHost:"]);
  const statuses = new Set<number>();
  for (const [url, bytes] of asked) {
    const answer = await sendBytes(url, bytes);
    statuses.add(answer.status);
    expect([...answer.headers.keys()]).toEqual(expect.arrayContaining(["request-id", "x-request-id"]));
    // Of any route, since its path may not have been read; who asked for Anthropic's may be answered in its shape.
    const isAnthropic = bytes.includes("/v1/messages");
    for (const [method, path] of [
      ["GET", "/live"],
      ["POST", "/v1/completions"],
      ["POST", "/v1/messages"],
    ] as const) {
      const { pointer } = findResponse(document, method, path, answer.status);
      const problems = judge(`${pointer}/content/application~1json/schema`)(JSON.parse(answer.body));
      const isOfPath =
        path === "/v1/messages" ? isAnthropic || [400, 408, 413, 431, 501].includes(answer.status) : !isAnthropic;
      if (isOfPath) expect(problems, answer.body).toEqual([]);
    }
    for (const [path, methods] of Object.entries(document.paths))
      for (const method of Object.keys(methods)) findResponse(document, method, path, answer.status);
  }
  expect([...statuses].toSorted((left, right) => left - right)).toEqual([400, 408, 413, 417, 421, 431, 501, 505]);
});

test("the count of tokens, the lists, the probes, the pages", async () => {
  const anthropic = { "anthropic-version": "2023-06-01" };
  const good = { model: "mock", messages };
  const requestId = (await send("/v1/chat/completions", { body: good })).headers.get("request-id") ?? "";
  const asked: readonly (readonly [method: string, template: string, status: number, path: string, sent?: Sent])[] = [
    ["POST", "/v1/messages/count_tokens", 200, "/v1/messages/count_tokens", { body: good }],
    ["POST", "/v1/messages/count_tokens", 400, "/v1/messages/count_tokens", { body: { ...good, messages: [] } }],
    ["POST", "/v1/messages/count_tokens", 404, "/v1/messages/count_tokens", { body: { ...good, model: "x" } }],
    ["GET", "/v1/models", 200, "/v1/models"],
    ["GET", "/v1/models", 200, "/v1/models?limit=2", { headers: anthropic }],
    ["GET", "/v1/models", 400, "/v1/models?limit=0", { headers: anthropic }],
    ["GET", "/v1/models", 401, "/v1/models", { url: strict.url }],
    ["GET", "/v1/models", 401, "/v1/models", { url: strict.url, headers: anthropic }],
    ["GET", "/v1/models/{id}", 200, "/v1/models/mock"],
    ["GET", "/v1/models/{id}", 200, "/v1/models/mock", { headers: anthropic }],
    ["GET", "/v1/models/{id}", 404, "/v1/models/nobody's"],
    ["GET", "/v1/models/{id}", 404, "/v1/models/nobody's", { headers: anthropic }],
    ["GET", "/v1/requests/{id}", 200, `/v1/requests/${requestId}`],
    ["GET", "/v1/requests/{id}", 404, "/v1/requests/nobody's"],
    ["GET", "/v1/requests/{id}", 401, "/v1/requests/nobody's", { url: strict.url }],
    ["GET", "/health", 200, "/health"],
    ["GET", "/health", 200, "/health", { url: strict.url }],
    ["GET", "/live", 200, "/live"],
    ["GET", "/metrics", 200, "/metrics"],
    ["GET", "/metrics", 200, "/metrics", { headers: { accept: "application/openmetrics-text" } }],
    ["GET", "/", 200, "/"],
    ["GET", "/favicon.ico", 204, "/favicon.ico"],
    ["GET", "/openapi.json", 200, "/openapi.json"],
    ["GET", "/openapi.json", 401, "/openapi.json", { url: strict.url }],
    ["GET", "/docs", 200, "/docs"],
    ["GET", "/docs", 401, "/docs", { url: strict.url }],
    ["GET", "/docs", 200, "/docs", { url: strict.url, headers: { "x-api-key": key } }],
  ];
  for (const [method, template, status, path, sent] of asked) {
    const answer = await send(path, sent);
    expect([path, answer.status]).toEqual([path, status]);
    expectDescribed(method, template, answer);
  }
});

test("paths and methods that are not served", async () => {
  const named = (name: string, { headers, body }: Answer): void => {
    const response = document.components.responses[name];
    expect(headers.has("allow")).toBe("allow" in (response?.headers ?? {}));
    expect(judge(`/components/responses/${name}/content/application~1json/schema`)(JSON.parse(body))).toEqual([]);
  };
  named("openai-404-unknown_route", await send("/v1/nothing"));
  named("anthropic-404-unknown_route", await send("/v1/messages/nothing"));
  named("openai-405-method_not_allowed", await send("/v1/completions"));
  named("anthropic-405-method_not_allowed", await send("/v1/messages"));
});

test("the document and its page are those of the port, and are sent once to who keeps them", async () => {
  const settings = { operatorPort: 0, maxMessages: 7, maxCompletions: 9, bodyLimitMb: 2, overloadStatus: 429 };
  const apiKeysFile = join(directory, "api-keys");
  await using split = await createFrontend({ runtime, httpPort: 0, apiKeysFile, ...settings });
  const isOpen = (audience: Audience): boolean => audience !== "clients" && audience !== "both";
  const facts = {
    fieldLimits: { maxMessages: 7, maxCompletions: 9 },
    maxBodyBytes: 2 * 1024 * 1024,
    overloadStatus: 429,
  };
  const withKey = { url: split.url, headers: { authorization: `Bearer ${key}` } };
  const clients = await send("/openapi.json", withKey);
  expect(JSON.parse(clients.body)).toEqual(
    JSON.parse(JSON.stringify(describeFrontend("clients", { ...facts, isOpen }))),
  );
  const operators = await send("/openapi.json", { url: split.operatorUrl ?? "" });
  expect(JSON.parse(operators.body)).toEqual(JSON.parse(JSON.stringify(describeFrontend("operators", facts))));
  const etag = clients.headers.get("etag") ?? "";
  expect([etag, operators.headers.get("etag")]).toEqual([
    expect.stringMatching(/^"[\w-]{22}"$/),
    expect.not.stringMatching(etag),
  ]);
  for (const path of ["/openapi.json", "/docs"]) {
    const { headers } = await send(path, withKey);
    const again = await send(path, {
      ...withKey,
      headers: { ...withKey.headers, "if-none-match": `"x", W/${headers.get("etag")}` },
    });
    expect([again.status, again.body]).toEqual([304, ""]);
    expectDescribed("GET", path, again);
    expect((await send(path, { ...withKey, headers: { ...withKey.headers, "if-none-match": '"x"' } })).status).toBe(
      200,
    );
    const head = await send(path, { ...withKey, method: "HEAD" });
    expect([head.status, head.body, head.headers.get("etag")]).toEqual([200, "", headers.get("etag")]);
  }
});

test("the page allows its own style and nothing else", async () => {
  const { headers, body } = await send("/docs");
  const [style = ""] = /(?<=<style>)[^]*(?=<\/style>)/.exec(body) ?? [];
  const hash = createHash("sha256").update(style).digest("base64");
  expect(headers.get("content-security-policy")).toBe(
    `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  );
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(body).not.toContain("style=");
});

test("what describes the API is loaded by the first who asks, not by the start", async () => {
  const watch = { NODE_OPTIONS: `--import ${join(root, "tests/e2e/otlp/record-imports.mjs")}` };
  await using cluster = await startCluster({ workers: 0, env: watch });
  expect(cluster.frontend.stderr()).not.toContain("openapi/document.js");
  expect((await fetch(`${cluster.url}/docs`)).status).toBe(200);
  await eventually("its loading", () => cluster.frontend.stderr().includes("openapi/document.js"));
});
