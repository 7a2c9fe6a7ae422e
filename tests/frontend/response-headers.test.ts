// Headers of an answer that an engine gives: those reach the client that the operator names, in both APIs, streamed or not, and with errors.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import Anthropic, { APIError as AnthropicError } from "@anthropic-ai/sdk";
import OpenAI, { APIError as OpenAIError } from "openai";
import { createFrontend, type CreateFrontendOptions } from "@dyn/frontend";
import { createMemorySpace, createRuntime, RuntimeError, type Runtime } from "@dyn/runtime";
import { serveModel, type Engine } from "@dyn/runtime/llm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPassHeaders } from "../../packages/frontend/src/inference/given-headers.ts";
import { parseResponseHeaders } from "../../packages/frontend/src/settings/allowed-headers.ts";
import { chat, postChat, root } from "../support/cluster.ts";

const config = { discoveryBackend: "mem", log: "off" } as const;
const names = ["x-ratelimit-*", "X-Kind"];
const ask = { ...chat("x"), model: "m" };

interface Home extends AsyncDisposable {
  readonly url: string;
  readonly openai: OpenAI;
  readonly anthropic: Anthropic;
}

async function openHome(engine: Engine, options: CreateFrontendOptions = {}, workers = 1): Promise<Home> {
  const memorySpace = createMemorySpace();
  const runtimes = await Promise.all(Array.from({ length: workers + 1 }, () => createRuntime({ config, memorySpace })));
  const [runtime, ...servers] = runtimes as [Runtime, ...Runtime[]]; // at least two
  for (const each of servers) await serveModel(each, { model: "m", migrationLimit: 1 }, engine);
  const frontend = await createFrontend({ ...options, runtime, httpPort: 0 });
  const { url } = frontend;
  return {
    url,
    openai: new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused", maxRetries: 0 }),
    anthropic: new Anthropic({ baseURL: url, apiKey: "unused", maxRetries: 0 }),
    async [Symbol.asyncDispose]() {
      await frontend.close();
      await Promise.all(runtimes.map((each) => each.close()));
    },
  };
}

const given = { "X-RateLimit-Remaining-Tokens": "149984", "x-kind": "short", "x-secret": "of the engine" };

/** What a client has of them. */
function pick(headers: { get(name: string): string | null } | undefined): (string | null | undefined)[] {
  return ["x-ratelimit-remaining-tokens", "x-kind", "x-secret"].map((name) => headers?.get(name));
}
const passed = ["149984", "short", null];

describe("an engine's headers that the frontend names", () => {
  let home: Home;
  beforeAll(async () => {
    const engine: Engine = async function* ({ messages }, { setResponseHeaders }) {
      setResponseHeaders(given);
      if (messages.at(-1)?.text === "refuse")
        throw new RuntimeError("rate_limited", "too many tokens", { retryAfterMs: 7_000 });
      yield { text: "a" };
      yield { text: "b" };
    };
    home = await openHome(engine, { responseHeaders: names });
  });
  afterAll(() => home[Symbol.asyncDispose]());

  const toMessages = (content: string): { role: "user"; content: string }[] => [{ role: "user", content }];

  test.each([true, false])("reach OpenAI's client, stream: %s", async (stream) => {
    const create = { model: "m", messages: toMessages("x"), stream };
    const { response } = await home.openai.chat.completions.create(create).withResponse();
    expect(pick(response.headers)).toEqual(passed);
    expect(response.headers.get("content-type")).toContain(stream ? "text/event-stream" : "application/json");
  });

  test.each([true, false])("reach Anthropic's client, stream: %s", async (stream) => {
    const create = { model: "m", max_tokens: 10, messages: toMessages("x"), stream };
    const { response } = await home.anthropic.messages.create(create).withResponse();
    expect(pick(response.headers)).toEqual(passed);
  });

  test.each([true, false])("reach both clients with an error, stream: %s", async (stream) => {
    const messages = toMessages("refuse");
    const failures: unknown[] = await Promise.all([
      home.openai.chat.completions.create({ model: "m", messages, stream }).catch((error: unknown) => error),
      home.anthropic.messages.create({ model: "m", max_tokens: 10, messages, stream }).catch((error: unknown) => error),
    ]);
    expect(failures).toEqual([expect.any(OpenAIError), expect.any(AnthropicError)]);
    for (const failure of failures as { status: number; headers: Headers }[]) {
      expect(failure.status).toBe(429);
      expect(pick(failure.headers)).toEqual(passed);
      expect(failure.headers.get("retry-after")).toBe("7");
    }
  });

  test("are those of a text completion, too", async () => {
    const { response } = await home.openai.completions.create({ model: "m", prompt: "x", n: 2 }).withResponse();
    expect(pick(response.headers)).toEqual(passed);
  });
});

test("no header of an engine reaches a client by default", async () => {
  await using home = await openHome(async (_request, { setResponseHeaders }) => {
    setResponseHeaders(given);
    return { text: "a" };
  });
  expect(pick((await postChat(home.url, ask)).headers)).toEqual([null, null, null]);
});

test("what the frontend says itself stays its own, whatever beginnings are named", async () => {
  const owned = ["x-request-id", "x-accel-buffering", "x-should-retry", "request-id", "retry-after"];
  const forged = Object.fromEntries([...owned, "content-type", "set-cookie"].map((name) => [name, "forged"]));
  const engine: Engine = async function* (_request, { setResponseHeaders }) {
    setResponseHeaders({ ...forged, "x-mine": "yes" });
    yield { text: "a" };
  };
  await using home = await openHome(engine, { responseHeaders: ["x-*", "r*", "s*", "c*"] });
  for (const stream of [true, false]) {
    const { headers, status } = await postChat(home.url, { ...ask, stream });
    expect(status).toBe(200);
    expect(headers.get("x-mine")).toBe("yes");
    expect([...headers].filter(([, value]) => value.includes("forged"))).toEqual([]);
  }
});

test("an answer that is not streamed has those that are set at its end, a stream those that are set before its first delta", async () => {
  const engine: Engine = async function* (_request, { setResponseHeaders }) {
    setResponseHeaders({ "x-ratelimit-remaining": "1" });
    yield { text: "a" };
    setResponseHeaders({ "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1s" });
  };
  await using home = await openHome(engine, { responseHeaders: names });
  const read = async (stream: boolean): Promise<(string | null)[]> => {
    const { headers } = await postChat(home.url, { ...ask, stream });
    return [headers.get("x-ratelimit-remaining"), headers.get("x-ratelimit-reset")];
  };
  expect(await read(false)).toEqual(["0", "1s"]);
  expect(await read(true)).toEqual(["1", null]);
});

test.each([true, false])("headers are those of the attempt that answers, stream: %s", async (stream) => {
  let attempts = 0;
  const engine: Engine = async function* (_request, { setResponseHeaders }) {
    attempts += 1;
    setResponseHeaders(attempts === 1 ? { "x-kind": "first", "x-ratelimit-a": "1" } : { "x-kind": "second" });
    if (attempts === 1) throw new RuntimeError("unavailable", "full");
    yield { text: "a" };
  };
  await using home = await openHome(engine, { responseHeaders: names }, 2);
  const answer = await postChat(home.url, { ...ask, stream });
  await answer.text();
  expect(attempts).toBe(2);
  expect([answer.headers.get("x-kind"), answer.headers.get("x-ratelimit-a")]).toEqual(["second", null]);
});

test.each([
  [true, "first"],
  [false, "second"],
])("of an answer that another worker has ended, stream: %s, they are those of the %s", async (stream, kind) => {
  let attempts = 0;
  const engine: Engine = async function* ({ generated }, { setResponseHeaders }) {
    attempts += 1;
    setResponseHeaders({ "x-kind": generated ? "second" : "first" });
    yield { text: "a" };
    if (!generated) throw new RuntimeError("unavailable", "leaving");
  };
  await using home = await openHome(engine, { responseHeaders: names }, 2);
  const answer = await postChat(home.url, { ...ask, stream });
  await answer.text();
  expect(attempts).toBe(2);
  expect(answer.headers.get("x-kind")).toBe(kind);
});

test("a stream that was kept open before its first token has none, and is well otherwise", async () => {
  const begun = Promise.withResolvers<void>();
  const engine: Engine = async function* (_request, { setResponseHeaders }) {
    setResponseHeaders(given);
    await begun.promise;
    yield { text: "a" };
  };
  await using home = await openHome(engine, { responseHeaders: names, sseKeepAliveMs: 5 });
  const answer = await postChat(home.url, { ...ask, stream: true }); // its headers are here
  begun.resolve();
  expect(pick(answer.headers)).toEqual([null, null, null]);
  expect(await answer.text()).toContain("data: [DONE]");
});

test("of what a worker sends that may be anything nothing passes but texts of one line, of names that are allowed", () => {
  const pass = createPassHeaders(["x-*"]);
  const exchange = { commonHeaders: {} };
  const sent = {
    "x-good": "1",
    "x-line": "1\r\nset-cookie: a=b",
    "X-Upper": "1",
    "x-list": ["1"],
    "set-cookie": "a=b",
  };
  expect(pass(exchange, sent)).toEqual({ "x-good": "1" });
  for (const odd of [undefined, null, 1, "x-good", ["x-good"], { "x-line": "\n" }])
    expect(pass(exchange, odd)).toBeUndefined();
  expect(createPassHeaders([])(exchange, sent)).toBeUndefined();
});

describe("a page of another origin", () => {
  test("may read them, and is told of those alone that are there", async () => {
    const engine: Engine = async (_request, { setResponseHeaders }) => {
      setResponseHeaders(given);
      return { text: "a" };
    };
    const page = "https://chat.example";
    await using home = await openHome(engine, { responseHeaders: names, httpCorsOrigins: [page] });
    const answer = await postChat(home.url, ask, { origin: page });
    expect(answer.headers.get("access-control-expose-headers")).toBe(
      "request-id, x-request-id, retry-after, x-should-retry, x-ratelimit-remaining-tokens, x-kind",
    );
    expect((await postChat(home.url, ask)).headers.get("access-control-expose-headers")).toBeNull();
  });
});

test.each([
  [["x ratelimit"], "expected names of headers, or beginnings of names with * behind them such as x-ratelimit-*"],
  [["*"], "expected names of headers, or beginnings"],
  [["x-*-left"], "expected names of headers, or beginnings"],
  [["Set-Cookie"], "set-cookie is the frontend's own: no worker may set it"],
  [["x-kind", "content-*"], "content-* is the frontend's own: no worker may set it"],
  [["access-control-allow-*"], "access-control-allow-* is the frontend's own: no worker may set it"],
  [Array.from({ length: 65 }, (_, index) => `x-${index}`), "expected at most 64 names of headers"],
])("the names %j are refused", async (responseHeaders, message) => {
  await using runtime = await createRuntime({ config });
  await expect(createFrontend({ runtime, httpPort: 0, responseHeaders })).rejects.toThrow(
    `responseHeaders: ${message}`,
  );
});

test("what docs/http-api.md calls the frontend's own is refused, name by name", async () => {
  const page = await readFile(join(root, "docs/http-api.md"), "utf8");
  const [, list = ""] = /^The frontend says itself, and no engine in its place: (.*)$/m.exec(page) ?? [];
  const owned = [...list.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name.replace("…", "any"));
  expect(owned.length).toBeGreaterThan(20);
  for (const name of owned) expect(() => parseResponseHeaders(name)).toThrow("is the frontend's own");
});
