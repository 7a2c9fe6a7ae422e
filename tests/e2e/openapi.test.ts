// What a frontend answers is what its document describes: whole answers, every event of a stream, and each status that it can be brought to.
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFrontend, type Frontend } from "@dyn/frontend";
import { startMockWorker, type MockWorker } from "@dyn/mock-worker";
import { createRuntime, RuntimeError, type Runtime } from "@dyn/runtime";
import { serveModel } from "@dyn/runtime/llm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { JsonSchema } from "../../packages/frontend/src/inference/described.ts";
import { errorTable } from "../../packages/runtime/src/error-table.ts";
import { workerCodes } from "../../packages/runtime/src/worker-errors.ts";
import { eventually } from "../support/cluster.ts";
import { edgesOf, isRuleInWords } from "../support/edges.ts";
import {
  closeSchemas,
  createExpectation,
  createJudge,
  describeFrontend,
  findResponse,
  operationOf,
  readEvents,
  type Answer,
} from "../support/openapi.ts";
import { dial } from "../support/http-client.ts";
import { refused, refusedAtOnce } from "../runtime/http/faults.ts";

const open = describeFrontend();
const isTaken = createJudge(open);
/** Of answers: nothing may be in them that is not described. */
const document = closeSchemas(open);
const judge = createJudge(document);
const expectDescribed = createExpectation(document);
const key = "sk-key-of-team-a-0123456789";

let directory: string;
let runtime: Runtime;
let frontend: Frontend;
/** Asks for keys. */
let strict: Frontend;
let mock: MockWorker;
/** Has a model for each code that a worker may say: it says `code@1` after a token, `code@0` before it. */
let failing: Runtime;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "dyn-openapi-"));
  const config = { fileKv: directory, log: "off" };
  const apiKeysFile = join(directory, "api-keys");
  await writeFile(apiKeysFile, `${createHash("sha256").update(key).digest("hex")} team-a\n`);
  runtime = await createRuntime({ config });
  frontend = await createFrontend({ runtime, httpPort: 0, httpBodyLimitBytes: 1 * 1024 * 1024, sseKeepAliveMs: 0 });
  strict = await createFrontend({ runtime, httpPort: 0, apiKeysFile });
  mock = await startMockWorker({ config, itlMs: 0 });
  failing = await createRuntime({ config, log: runtime.log });
  const models = [...workerCodes].flatMap((code) =>
    [0, 1].map((tokens) => ({ code, tokens, name: `${code}@${tokens}` })),
  );
  for (const { code, tokens, name: model } of models) {
    const endpoint = `dyn://failing.${code}.after-${tokens}`;
    await serveModel(failing, { model, endpoint }, async function* () {
      if (tokens > 0) yield { text: "one" };
      throw new RuntimeError(code, "as it was told");
    });
  }
  await eventually("all models", async () => {
    const listed = await (await fetch(`${frontend.url}/v1/models`)).text();
    return ["mock", ...models.map(({ name }) => name)].every((name) => listed.includes(`"${name}"`));
  });
});

afterAll(async () => {
  for (const each of [strict, frontend, mock, failing, runtime]) await each.close();
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
});

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

function nameOf(reference = ""): string {
  return reference.slice(reference.lastIndexOf("/") + 1);
}

function messageOf({ body }: Answer): string {
  return (JSON.parse(body) as { error: { message: string } }).error.message;
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

  test("each field within its limits and beyond them", async () => {
    const { requestBody } = operationOf(document, "POST", path);
    const name = nameOf(requestBody?.content["application/json"]?.schema.$ref);
    const { properties = {} } = open.components.schemas[name] ?? {};
    for (const [field, schema] of Object.entries(properties) as [string, JsonSchema][]) {
      for (const edge of edgesOf(schema).filter((each) => JSON.stringify(each).length < 1_000)) {
        const body = toBody("mock", { [field]: edge });
        const isBody = isTaken(`/components/schemas/${name}`)(body).length === 0;
        const answer = await send(path, { body });
        const isRule = answer.status === 400 && isRuleInWords(messageOf(answer));
        const expected = !isBody || isRule ? 400 : body["model"] === "mock" ? 200 : 404;
        expect([answer.status, field, edge]).toEqual([expected, field, edge]);
        expectDescribed("POST", path, answer);
      }
    }
    expect(Object.keys(properties).length).toBeGreaterThan(10);
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
  await using late = await createFrontend({ runtime, httpPort: 0, httpHeaderTimeoutMs: 20 });
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

test("a model whose last worker has left", async () => {
  const body = { model: "leaving", messages };
  const worker = await startMockWorker({ config: { fileKv: directory, log: "off" }, modelName: "leaving" });
  await eventually("the model", async () => (await send("/v1/models/leaving")).status === 200);
  await worker.close();
  await eventually("its end", async () => (await send("/v1/models/leaving")).status === 503);
  const anthropic = { "anthropic-version": "2023-06-01" };
  for (const headers of [{}, anthropic])
    expectDescribed("GET", "/v1/models/{id}", await send("/v1/models/leaving", { headers }));
  expectDescribed("POST", "/v1/messages/count_tokens", await send("/v1/messages/count_tokens", { body }));
  for (const [path, toBody] of inference) expectDescribed("POST", path, await send(path, { body: toBody("leaving") }));
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
