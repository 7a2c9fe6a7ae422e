// Every inference route with every error: status, headers, body, the pair of lines and the metric are what the table of codes says.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFrontend, type Frontend } from "@dyn/frontend";
import { startMockWorker, type MockWorker } from "@dyn/mock-worker";
import { createRuntime, type Runtime } from "@dyn/runtime";
import { renderMetrics } from "@dyn/runtime/internal";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseFaults } from "../../packages/mock-worker/dist/faults/faults.js";
import { createLogger } from "../support/logger.ts";
import { createSums } from "../../packages/runtime/dist/logging/sums.js";
import { errorTable, type ErrorCode } from "../../packages/runtime/src/error-table.ts";
import { workerCodes } from "../../packages/runtime/src/worker-errors.ts";
import { eventually } from "../support/cluster.ts";

type Api = "openai" | "anthropic";

interface Route {
  readonly path: string;
  readonly endpoint: string;
  readonly api: Api;
  readonly body: (model: string, stream: boolean) => Record<string, unknown>;
}

const routes: readonly Route[] = [
  {
    path: "/v1/chat/completions",
    endpoint: "chat_completions",
    api: "openai",
    body: (model, stream) => ({ model, stream, messages: [{ role: "user", content: "a b c" }] }),
  },
  {
    path: "/v1/completions",
    endpoint: "completions",
    api: "openai",
    body: (model, stream) => ({ model, stream, prompt: "a b c" }),
  },
  {
    path: "/v1/messages",
    endpoint: "anthropic_messages",
    api: "anthropic",
    body: (model, stream) => ({ model, stream, max_tokens: 9, messages: [{ role: "user", content: "a b c" }] }),
  },
];

// What an engine may throw, each by a worker of its own that serves a model of that name.
const thrown: readonly ErrorCode[] = [...workerCodes];

let directory: string;
let runtime: Runtime;
let frontend: Frontend;
const workers: MockWorker[] = [];
const records: Record<string, unknown>[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "dyn-walk-"));
  const config = { fileKv: directory, log: "off" };
  const sink = (record: Record<string, unknown>): void => void records.push(record);
  runtime = await createRuntime({ config, log: createLogger({ sink, sums: createSums({ whole: 1_000 }) }).pino });
  frontend = await createFrontend({ runtime, httpPort: 0, httpBodyLimitBytes: 1 * 1024 * 1024 });
  for (const after of [0, 1]) {
    for (const code of thrown) {
      const modelName = `${code}@${after}`;
      const component = `${code.replaceAll("_", "-")}-${after}`;
      workers.push(
        await startMockWorker({
          config,
          modelName,
          component,
          itlMs: 2,
          migrationLimit: 0,
          fault: parseFaults(`error:${code}@${after}`),
        }),
      );
    }
  }
  const count = 2 * thrown.length;
  await eventually("all models", () => records.filter(({ message }) => message === "instance joined").length === count);
});

afterAll(async () => {
  for (const each of [frontend, ...workers, runtime]) await each[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
});

interface Sent {
  readonly response: Response;
  readonly text: string;
  readonly id: string;
}

let requests = 0;

interface Init extends RequestInit {
  readonly headers?: Readonly<Record<string, string>>;
}

async function send(path: string, init: Init): Promise<Sent> {
  requests += 1;
  const id = `walk-${requests}`;
  const response = await fetch(`${frontend.url}${path}`, {
    ...init,
    headers: { "content-type": "application/json", ...init.headers, "x-request-id": id },
  });
  return { response, text: await response.text(), id };
}

function post(body: unknown): Init {
  return { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) };
}

// Addresses, names of endpoints, paths.
const inside = /\d+\.\d+\.\d+\.\d+|:\d{4,5}\b|dynamo\/|\/tmp/;

function expectShape(api: Api, code: ErrorCode, { response, text }: Sent, json: unknown): void {
  expect(text).not.toMatch(inside);
  const { openai, anthropic } = errorTable[code];
  const requestId = response.headers.get("request-id");
  if (api === "anthropic") {
    expect(json).toEqual({
      type: "error",
      error: { type: anthropic, message: expect.any(String) },
      request_id: requestId,
    });
    return;
  }
  // Where a field is to blame, both name it: `param` which, the error's code what is wrong with it.
  const field = (json as { error: { param: unknown } }).error.param;
  const blame =
    field === null
      ? { param: null, code: openai[1] }
      : { param: expect.any(String), code: expect.stringMatching(/^[a-z]+(_[a-z]+)+$/) };
  expect(json).toEqual({ error: { message: expect.any(String), type: openai[0], ...blame } });
}

function expectHeaders({ response, id }: Sent): void {
  expect(response.headers.get("x-request-id")).toBe(id);
  expect(response.headers.get("request-id")).toMatch(/^[0-9a-f-]{36}$/);
}

async function expectLines(code: ErrorCode, endpoint: string, { id }: Sent): Promise<void> {
  const { metric, detail } = errorTable[code];
  const [completed, ...more] = await eventually("the completion", () => {
    const found = records.filter(
      (record) => record["x_request_id"] === id && record["message"] === "request completed",
    );
    return found.length > 0 && found;
  });
  expect(more).toEqual([]);
  const status = code === "cancelled" ? "cancelled" : "error";
  expect(completed).toMatchObject({ endpoint, status, error_type: metric, error_detail: detail, level: "ERROR" });
  expect(
    records.filter((record) => record["x_request_id"] === id && record["message"] === "request received"),
  ).toHaveLength(1);
}

async function countErrors(endpoint: string, code: ErrorCode): Promise<number> {
  const { body } = await renderMetrics(runtime.metrics.registry, "openmetrics"); // not the page: that is shared for a while
  const lines = body.split("\n").filter((line) => line.startsWith("dynamo_frontend_requests_total{"));
  const wanted = [`endpoint="${endpoint}"`, `error_type="${errorTable[code].metric}"`, 'status="error"'];
  return lines
    .filter((line) => wanted.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

async function walk(
  code: ErrorCode,
  { endpoint, api }: Pick<Route, "endpoint" | "api">,
  act: () => Promise<Sent>,
): Promise<Sent> {
  const before = await countErrors(endpoint, code);
  const sent = await act();
  expect(sent.response.status).toBe(errorTable[code].status);
  expect(sent.response.headers.get("content-type")).toBe("application/json");
  expect(sent.response.headers.has("retry-after")).toBe(errorTable[code].retryable);
  expectHeaders(sent);
  expectShape(api, code, sent, JSON.parse(sent.text));
  await expectLines(code, endpoint, sent);
  expect(await countErrors(endpoint, code)).toBe(before + 1);
  return sent;
}

describe.each(routes)("$path", (route) => {
  const { path, endpoint, api, body } = route;

  test.each([false, true])("what an engine throws before its first token (stream: %s)", async (stream) => {
    for (const code of thrown) await walk(code, route, () => send(path, post(body(`${code}@0`, stream))));
  });

  test("what an engine throws after its first token, in a stream", async () => {
    for (const code of thrown) {
      const before = await countErrors(endpoint, code);
      const sent = await send(path, post(body(`${code}@1`, true)));
      expect(sent.response.status).toBe(200);
      expectHeaders(sent);
      const last = sent.text.trimEnd().split("\n\n").at(-1) ?? "";
      expect(last.startsWith(api === "anthropic" ? "event: error\ndata: " : "data: ")).toBe(true);
      expectShape(api, code, sent, JSON.parse(last.slice(last.indexOf("data: ") + 6)));
      expect(sent.text).not.toContain("[DONE]");
      await expectLines(code, endpoint, sent);
      expect(await countErrors(endpoint, code)).toBe(before + 1);
    }
  });

  test("what is wrong with the request itself", async () => {
    const wrong: readonly (readonly [ErrorCode, Init])[] = [
      ["invalid_argument", post("{")],
      ["invalid_argument", post("")],
      ["invalid_argument", post("[]")],
      ["invalid_argument", post({ ...body("internal@0", false), temperature: "hot" })],
      ["invalid_argument", { ...post(body("internal@0", false)), headers: { "x-request-timeout-ms": "0" } }],
      ["not_found", post(body("nobody's", false))],
      ["too_large", post({ ...body("internal@0", false), fill: "x".repeat(2 ** 20) })],
      ["unsupported_media_type", { ...post(body("internal@0", false)), headers: { "content-type": "text/plain" } }],
      ["unsupported_media_type", { ...post(body("internal@0", false)), headers: { "content-type": "garbage" } }],
    ];
    for (const [code, init] of wrong) await walk(code, route, () => send(path, init));
  });

  test("another method, and a path below it", async () => {
    for (const method of ["PUT", "DELETE", "PATCH", "GET"]) {
      const { response } = await walk("method_not_allowed", { endpoint: "unmatched", api }, () =>
        send(path, { method }),
      );
      expect(response.headers.get("allow")).toContain("POST");
    }
    await walk("unknown_route", { endpoint: "unmatched", api }, () => send(`${path}/nothing`, post({})));
  });
});

test.each(["cancelled", "unauthenticated"])(
  "an engine that says %s, which is not an engine's to say, is at fault",
  async (code) => {
    const [route] = routes;
    if (!route) throw new Error("there are routes");
    const config = { fileKv: directory, log: "off" };
    const worker = await startMockWorker({
      config,
      modelName: `${code}@0`,
      component: `${code}-0`,
      fault: parseFaults(`error:${code}`),
    });
    workers.push(worker);
    await eventually("the model", async () =>
      (await (await fetch(`${frontend.url}/v1/models`)).text()).includes(`${code}@0`),
    );
    await eventually("its instance", () =>
      records.some(({ message, endpoint }) => message === "instance joined" && String(endpoint).includes(code)),
    );
    await walk("internal", route, () => send(route.path, post(route.body(`${code}@0`, false))));
  },
);

test("the count of tokens refuses in Anthropic's shape, without a pair", async () => {
  const path = "/v1/messages/count_tokens";
  const good = { model: "internal@0", messages: [{ role: "user", content: "a b" }] };
  const wrong: readonly (readonly [ErrorCode, Init])[] = [
    ["invalid_argument", post("{")],
    ["invalid_argument", post({ ...good, messages: [] })],
    ["not_found", post({ ...good, model: "nobody's" })],
    ["too_large", post({ ...good, fill: "x".repeat(2 ** 20) })],
    ["unsupported_media_type", { ...post(good), headers: { "content-type": "text/plain" } }],
  ];
  for (const [code, init] of wrong) {
    const sent = await send(path, init);
    expect(sent.response.status).toBe(errorTable[code].status);
    expectHeaders(sent);
    expectShape("anthropic", code, sent, JSON.parse(sent.text));
    expect(records.filter((record) => record["x_request_id"] === sent.id && record["level"] !== "DEBUG")).toEqual([]);
  }
  expect(JSON.parse((await send(path, post(good))).text)).toEqual({ input_tokens: 2 });
});

test("routes that are not for inference have the ids and no pair", async () => {
  for (const path of ["/v1/models", "/v1/models/internal@0", "/health", "/live", "/metrics"]) {
    const sent = await send(path, {});
    expect(sent.response.status).toBe(200);
    expectHeaders(sent);
    expect(records.filter((record) => record["x_request_id"] === sent.id && record["level"] !== "DEBUG")).toEqual([]);
  }
  for (const [path, code] of [
    ["/v1/models/nobody's", "not_found"],
    ["/v1/requests/nobody's", "unknown_request"],
  ] as const) {
    const missing = await send(path, {});
    expect(missing.response.status).toBe(404);
    expectHeaders(missing);
    expectShape("openai", code, missing, JSON.parse(missing.text));
  }
});
