// What clients read of a failure names no address, host or path and quotes no other software; the log does.
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFrontend, type Frontend } from "@dyn/frontend";
import { startMockWorker, type MockWorker } from "@dyn/mock-worker";
import { createRuntime, RuntimeError, type Runtime } from "@dyn/runtime";
import { serveModel, type ModelRequest } from "@dyn/runtime/llm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseFaults } from "../../packages/mock-worker/dist/faults/faults.js";
import { createLogger } from "../support/logger.ts";
import { errorTable, type ErrorCode } from "../../packages/runtime/src/error-table.ts";
import { eventually } from "../support/cluster.ts";
import { card, record } from "../runtime/discovery/spaces.ts";

const key = "key-of-ann-0123456789";
const operatorKey = "key-of-prometheus-0123456789";
const digest = (secret: string): string => createHash("sha256").update(secret).digest("hex");

// Addresses, paths, names of endpoints and of hosts, words of Node and of other software.
const inside = /\d+\.\d+\.\d+\.\d+|:\d{4,5}\b|\/tmp|\w\/backend|\.internal|dyn:\/\/|E[A-Z]{5,}|ENOENT|HELLO|socket/;

const text = "no route to db.internal (10.0.0.5:5432)";
async function call(runtime: Runtime, endpoint: string): Promise<unknown> {
  for await (const item of runtime.client(endpoint).generate({})) return item;
  return undefined;
}

// What an engine's own calls throw at it.
const thrown: Readonly<Record<string, (runtime: Runtime) => unknown>> = {
  foreign: () => Object.assign(new Error(`connect ECONNREFUSED 10.0.0.5:5432`), { code: "ECONNREFUSED" }),
  timeout: () => new DOMException(text, "TimeoutError"),
  abort: () => new DOMException(text, "AbortError"),
  protocol: () => new RuntimeError("protocol", text),
  nobody: (runtime) => call(runtime, "dyn://secret.backend.nobody"),
  lost: (runtime) => call(runtime, "dyn://dynamo.backend.gone"),
};

let directory: string;
let runtime: Runtime;
let frontend: Frontend;
const owned: AsyncDisposable[] = [];
const records: Record<string, unknown>[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "dyn-messages-"));
  const [apiKeysFile, operatorKeysFile] = [join(directory, "api-keys"), join(directory, "operator-keys")];
  await writeFile(apiKeysFile, digest(key));
  await writeFile(operatorKeysFile, digest(operatorKey));
  const config = { fileKv: join(directory, "kv"), log: "off" };
  runtime = await createRuntime({
    config: { ...config, operatorKeysFile },
    log: createLogger({ sink: (line) => records.push(line) }).pino,
  });
  const engines = await createRuntime({ config });
  owned.push(engines);
  // Nobody listens there.
  const nowhere = { tcp: "127.0.0.1:1/1/dynamo/backend/gone" };
  owned.push(await engines.discovery.publish({ ...record(1n, "gone"), transport: nowhere }));
  owned.push(await engines.discovery.publish({ ...card(1n), endpoint: "gone" }));
  await serveModel(
    engines,
    { model: "throws", endpoint: "dyn://dynamo.backend.throws" },
    async function* ({ messages }: ModelRequest) {
      const [name = "", isLate] = (messages.at(-1)?.text ?? "").split(" ");
      if (isLate) yield { text: "one" };
      throw await thrown[name]?.(engines);
    },
  );
  const mocks: Promise<MockWorker>[] = ["cut", "cut@1", "garbage", "garbage@1"].map((fault) => {
    const component = fault.replace("@", "-");
    return startMockWorker({
      config,
      modelName: fault,
      component,
      itlMs: 1,
      migrationLimit: 0,
      fault: parseFaults(fault),
    });
  });
  owned.push(...(await Promise.all(mocks)));
  frontend = await createFrontend({ runtime, httpPort: 0, apiKeysFile });
  await eventually("all of them", () => records.filter(({ message }) => message === "instance joined").length === 6);
});

afterAll(async () => {
  for (const each of [frontend, ...owned, runtime]) await each[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
});

const routes = [
  { path: "/v1/chat/completions", body: (content: string) => ({ messages: [{ role: "user", content }] }) },
  { path: "/v1/completions", body: (prompt: string) => ({ prompt }) },
  { path: "/v1/messages", body: (content: string) => ({ max_tokens: 9, messages: [{ role: "user", content }] }) },
];

let requests = 0;

interface Failed {
  readonly id: string;
  readonly status: number;
  readonly text: string;
}

async function fail(
  model: string,
  prompt: string,
  more: { path: string; body: object; stream: boolean; headers: Record<string, string> },
): Promise<Failed> {
  requests += 1;
  const id = `failed-${requests}`;
  const response = await fetch(`${frontend.url}${more.path}`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-api-key": key, "x-request-id": id, ...more.headers },
    body: JSON.stringify({ model, stream: more.stream, ...more.body }),
  });
  return { id, status: response.status, text: await response.text() };
}

async function history(id: string, reader: string): Promise<string> {
  return (await fetch(`${frontend.url}/v1/requests/${id}`, { headers: { "x-api-key": reader } })).text();
}

interface Case {
  readonly name: string;
  readonly model: string;
  readonly prompt: string;
  readonly code: ErrorCode;
  readonly headers?: Record<string, string>;
}

const cases: readonly Case[] = [
  { name: "an engine's own error", model: "throws", prompt: "foreign", code: "internal" },
  { name: "the same in a stream", model: "throws", prompt: "foreign late", code: "internal" },
  { name: "an engine's own time limit", model: "throws", prompt: "timeout", code: "deadline_exceeded" },
  { name: "the same in a stream", model: "throws", prompt: "timeout late", code: "deadline_exceeded" },
  { name: "an engine's own abort", model: "throws", prompt: "abort", code: "internal" },
  { name: "an engine that speaks of rules", model: "throws", prompt: "protocol", code: "protocol" },
  { name: "an engine whose own worker is not there", model: "throws", prompt: "nobody", code: "unavailable" },
  { name: "an engine whose own worker cannot be reached", model: "throws", prompt: "lost", code: "internal" },
  { name: "a worker that cannot be reached", model: "m", prompt: "x", code: "cannot_connect" },
  {
    name: "a worker that is not there",
    model: "m",
    prompt: "x",
    code: "unavailable",
    headers: { "x-worker-instance-id": "12" },
  },
  { name: "a worker that hangs up", model: "cut", prompt: "a b c", code: "disconnected" },
  { name: "the same in a stream", model: "cut@1", prompt: "a b c", code: "disconnected" },
  { name: "a worker that sends what is no frame", model: "garbage", prompt: "a b c", code: "disconnected" },
  { name: "the same in a stream", model: "garbage@1", prompt: "a b c", code: "disconnected" },
];

describe.each(cases)("$name", ({ model, prompt, code, headers = {} }) => {
  test.each([false, true])(
    "is told without a word of the inside, and shown so to the key that asked (stream: %s)",
    async (stream) => {
      for (const { path, body } of routes) {
        const failed = await fail(model, prompt, { path, body: body(prompt), stream, headers });
        const hasBegun = failed.status === 200;
        expect(failed.status).toBe(hasBegun ? 200 : errorTable[code].status);
        expect(hasBegun).toBe(stream && /late|@1/.test(`${model} ${prompt}`));
        expect(failed.text).toMatch(/"error":\{/);
        expect(failed.text).not.toMatch(inside);
        const shown = JSON.parse(await history(failed.id, key)) as { request: { error: string; uri: string } };
        expect(failed.text).toContain(JSON.stringify(shown.request.error));
        expect(
          JSON.stringify({ ...shown, request: { ...shown.request, uri: "" } }).replaceAll(
            /"[^"]*_(?:at":"[^"]*"|ms":[\d.]+)/g,
            "",
          ),
        ).not.toMatch(inside);
      }
    },
  );
});

test("operators see in the history what the log says: the address", async () => {
  const [route] = routes;
  if (!route) throw new Error("there are routes");
  const failed = await fail("m", "x", { ...route, body: route.body("x"), stream: false, headers: {} });
  const line = await eventually("its line", () =>
    records.find((each) => each["x_request_id"] === failed.id && each["message"] === "request completed"),
  );
  expect(line["error"]).toContain("127.0.0.1:1");
  expect(await history(failed.id, operatorKey)).toContain(JSON.stringify(line["error"]));
  expect(await history(failed.id, key)).toContain("the worker could not be reached");
});
