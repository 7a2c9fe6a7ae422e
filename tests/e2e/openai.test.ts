// The HTTP side as the official client sees it.
import OpenAI, { APIError } from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chat, eventually, lineOf, postChat, startCluster, type Cluster } from "../support/cluster.ts";

let cluster: Cluster;
let client: OpenAI;

beforeAll(async () => {
  cluster = await startCluster({ workers: 2, frontendArgs: ["--http-body-limit-mb", "1"] });
  await cluster.addWorker("--model-name", "org/model");
  client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "unused", maxRetries: 0 });
});
afterAll(async () => cluster[Symbol.asyncDispose]());

const messages = (content: string): { role: "user"; content: string }[] => [{ role: "user", content }];

// Of usage: the mock has no cache, and has not thought.
const details = { prompt_tokens_details: { cached_tokens: 0 }, completion_tokens_details: { reasoning_tokens: 0 } };

describe("a unary completion", () => {
  test("echoes the last user message with exact usage", async () => {
    const completion = await client.chat.completions.create({ model: "mock", messages: messages("hello big world") });
    expect(completion.choices[0]?.message.content).toBe("hello big world");
    expect(completion.choices[0]?.finish_reason).toBe("stop");
    expect(completion.usage).toEqual({ prompt_tokens: 3, completion_tokens: 3, total_tokens: 6, ...details });
    expect(completion._request_id).toBe(completion.id.replace("chatcmpl-", ""));
  });

  test("ends with length at max_tokens", async () => {
    const completion = await client.chat.completions.create({
      model: "mock",
      messages: messages("a b c d"),
      max_tokens: 2,
    });
    expect(completion.choices[0]?.message.content).toBe("a b");
    expect(completion.choices[0]?.finish_reason).toBe("length");
    expect(completion.usage?.completion_tokens).toBe(2);
  });

  test("ends before a stop string, also one that spans tokens", async () => {
    const completion = await client.chat.completions.create({
      model: "mock",
      messages: messages("one two three"),
      stop: ["o th"],
    });
    expect(completion.choices[0]?.message.content).toBe("one tw");
    expect(completion.choices[0]?.finish_reason).toBe("stop");
  });

  test("keeps unicode, quotes and line ends", async () => {
    const text = 'é 😀 "quoted"\n\ttab \u0007 \u2028 end ';
    const completion = await client.chat.completions.create({ model: "mock", messages: messages(text) });
    expect(completion.choices[0]?.message.content).toBe(text);
  });

  test("ignores fields it does not know", async () => {
    const response = await postChat(cluster.url, chat("hi", { future_field: { a: 1 } }));
    expect(response.status).toBe(200);
  });

  test("carries a text of a megabyte's half", async () => {
    const text = "word ".repeat(100_000);
    const response = await postChat(cluster.url, chat(text));
    const body = (await response.json()) as { choices: { message: { content: string } }[] };
    expect(body.choices[0]?.message.content).toBe(text);
  });
});

describe("a streamed completion", () => {
  test("sends the role once, one chunk per token, a reason, and usage when asked", async () => {
    const stream = await client.chat.completions.create({
      model: "mock",
      messages: messages("a b c"),
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.role).filter(Boolean)).toEqual(["assistant"]);
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content).filter(Boolean)).toEqual(["a", " b", " c"]);
    expect(chunks.map((chunk) => chunk.choices[0]?.finish_reason).filter(Boolean)).toEqual(["stop"]);
    expect(chunks.at(-1)?.usage).toEqual({ prompt_tokens: 3, completion_tokens: 3, total_tokens: 6, ...details });
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  test("closes with [DONE] and has no usage unless asked", async () => {
    const text = await (await postChat(cluster.url, chat("a b", { stream: true }))).text();
    expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
    expect(text).not.toContain("usage");
  });

  test("yields the same text as the unary form for any limit", async () => {
    for (const more of [{ max_tokens: 3 }, { stop: "d" }, { stop: ["x", " c d"] }, { max_completion_tokens: 1 }]) {
      const unary = (await (await postChat(cluster.url, chat("a b c d e", more))).json()) as {
        choices: { message: { content: string } }[];
      };
      const stream = client.chat.completions.stream({ model: "mock", messages: messages("a b c d e"), ...more });
      expect((await stream.finalMessage()).content).toBe(unary.choices[0]?.message.content);
    }
  });
});

async function errorOf(work: Promise<unknown>): Promise<APIError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof APIError) return error;
    throw error;
  }
  throw new Error("the call succeeded");
}

describe("errors", () => {
  test("an unknown model is a 404 that names it", async () => {
    const error = await errorOf(client.chat.completions.create({ model: "org/nobody", messages: messages("hi") }));
    expect(error).toMatchObject({ status: 404, code: "model_not_found", type: "invalid_request_error" });
    expect(error.message).toContain("org/nobody");
    expect(error.requestID).toMatch(/^[0-9a-f-]{36}$/);
  });

  test.each([
    ["messages", "empty_array", { messages: [] }],
    ["messages", "invalid_type", { messages: "hi" }],
    ["messages", "missing_required_parameter", { messages: undefined }],
    ["messages[0].role", "invalid_value", { messages: [{ role: "wizard", content: "hi" }] }],
    ["messages[0].content", "missing_required_parameter", { messages: [{ role: "user" }] }],
    ["messages[0].content", "invalid_type", { messages: [{ role: "user", content: 7 }] }],
    ["messages[0].content", "empty_array", { messages: [{ role: "user", content: [] }] }],
    ["messages[0].content[0].type", "invalid_value", { messages: [{ role: "user", content: [{ type: "video" }] }] }],
    ["messages[0].name", "invalid_type", { messages: [{ role: "user", content: "hi", name: 7 }] }],
    ["temperature", "decimal_above_max_value", { temperature: 3 }],
    ["top_p", "decimal_below_min_value", { top_p: -1 }],
    ["max_tokens", "integer_below_min_value", { max_tokens: -1 }],
    ["stop[0]", "invalid_type", { stop: [1] }],
    ["stop", "array_above_max_length", { stop: ["1", "2", "3", "4", "5"] }],
    ["stream_options", "invalid_value", { stream_options: { include_usage: true } }],
    ["n", "integer_below_min_value", { n: 0 }],
    ["n", "integer_above_max_value", { n: 129 }],
    ["n", "invalid_type", { n: 1.5 }],
    ["top_logprobs", "invalid_value", { top_logprobs: 1 }],
    ["top_logprobs", "integer_above_max_value", { logprobs: true, top_logprobs: 21 }],
    ["model", "invalid_type", { model: 7 }],
    ["model", "string_below_min_length", { model: "" }],
    ["model", "string_above_max_length", { model: "x".repeat(257) }],
  ])("a bad %s is a 400 that names the field, code %s", async (param, code, more) => {
    const response = await postChat(cluster.url, chat("hi", more));
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      error: { type: "invalid_request_error", param, code, message: expect.stringContaining(param) },
    });
  });

  const raw = (path: string, init: RequestInit): Promise<Response> => fetch(`${cluster.url}${path}`, init);
  const json = { "content-type": "application/json" };
  const path = "/v1/chat/completions";
  const deep = "[".repeat(70) + "]".repeat(70);
  test.each<[string, number, () => Promise<Response>]>([
    ["bad JSON", 400, () => raw(path, { method: "POST", headers: json, body: "{" })],
    ["an empty body", 400, () => raw(path, { method: "POST", headers: json })],
    ["a JSON text", 400, () => raw(path, { method: "POST", headers: json, body: '"hi"' })],
    [
      "another content type",
      415,
      () => raw(path, { method: "POST", headers: { "content-type": "text/plain" }, body: "{}" }),
    ],
    ["a body over the limit", 413, () => raw(path, { method: "POST", headers: json, body: "x".repeat(1_100_000) })],
    [
      "tools nested 70 levels",
      400,
      () =>
        raw(path, { method: "POST", headers: json, body: JSON.stringify(chat("hi", { tools: [JSON.parse(deep)] })) }),
    ],
    ["an unknown route", 404, () => raw("/v2/nothing", {})],
    ["an unknown model object", 404, () => raw("/v1/models/a/b", {})],
    ["a wrong method", 405, () => raw(path, { method: "GET" })],
    ["a wrong method on a path with a wildcard", 405, () => raw("/v1/models/a/b", { method: "DELETE" })],
  ])("%s is a %i in OpenAI's shape with both ids", async (_name, status, call) => {
    const response = await call();
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(response.headers.get("request-id")).toMatch(/^[0-9a-f-]{36}$/);
    expect(response.headers.get("x-request-id")).toBe(response.headers.get("request-id"));
    const body = (await response.json()) as { error: Record<string, unknown> };
    expect(Object.keys(body.error).toSorted()).toEqual(["code", "message", "param", "type"]);
    expect(body.error["message"]).toBeTypeOf("string");
    const id = response.headers.get("request-id");
    if (status === 400 || status === 413 || status === 415) {
      const pair = await eventually("the pair of lines", () => {
        const lines = cluster.frontend
          .lines()
          .filter((line) => line["request_id"] === id && String(line["message"]).startsWith("request "));
        return lines.length >= 2 && lines;
      });
      expect(pair.map((line) => line["message"])).toEqual(["request received", "request completed"]);
      expect(pair[1]).toMatchObject({ level: "ERROR", status: "error", error_type: "validation" });
    }
  });
});

describe("the other routes", () => {
  test("models are listed and shown", async () => {
    const page = await client.models.list();
    expect(page.data.map(({ id }) => id)).toEqual(["mock", "org/model"]);
    expect(await client.models.retrieve("mock")).toMatchObject({ id: "mock", object: "model" });
  });

  test("a model's name may have slashes, plain or encoded", async () => {
    expect(await client.models.retrieve("org/model")).toMatchObject({ id: "org/model" });
    for (const path of ["org/model", "org%2Fmodel", "org/model/"]) {
      const response = await fetch(`${cluster.url}/v1/models/${path}`);
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ id: "org/model" });
    }
    const completion = await client.chat.completions.create({ model: "org/model", messages: messages("hi there") });
    expect(completion).toMatchObject({ model: "org/model", choices: [{ message: { content: "hi there" } }] });
  });

  test("health names the instances, live answers, metrics count", async () => {
    const health = (await (await fetch(`${cluster.url}/health`)).json()) as { status: string; instances: unknown[] };
    expect(health.status).toBe("healthy");
    expect(health.instances).toHaveLength(3);
    expect(await (await fetch(`${cluster.url}/live`)).json()).toEqual({
      status: "live",
      message: "Service is live",
      discovery: { state: "listing" },
    });
    expect((await postChat(cluster.url, chat("hi"))).status).toBe(200);
    expect((await postChat(cluster.url, chat("hi", { model: "org/nobody" }))).status).toBe(404);
    const metrics = await (await fetch(`${cluster.url}/metrics`)).text();
    expect(metrics).toMatch(
      /^dynamo_frontend_requests_total\{endpoint="chat_completions",error_type="",model="mock",request_type="unary",status="success"\} [1-9]/m,
    );
    expect(metrics).toMatch(/model="unknown_model"/);
    expect(metrics).not.toContain("org/nobody");
  });

  test("probes write no line at info", async () => {
    for (const path of ["/health", "/live", "/metrics"])
      expect((await fetch(`${cluster.url}${path}`)).status).toBe(200);
    const later = (await postChat(cluster.url, chat("hi"))).headers.get("request-id");
    await eventually("a later line", () => cluster.frontend.lines().some((line) => line["request_id"] === later));
    expect(
      cluster.frontend.lines().filter((line) => ["/health", "/live", "/metrics"].includes(String(line["uri"]))),
    ).toEqual([]);
  });
});

describe("request ids", () => {
  const uuid = "0f4ac56e-5bd1-4657-bf8b-39cdcde9036b";
  test("a UUID in request-id becomes the request's id", async () => {
    const response = await postChat(cluster.url, chat("hi"), { "request-id": uuid, "x-request-id": "mine" });
    expect(response.headers.get("request-id")).toBe(uuid);
    expect(response.headers.get("x-request-id")).toBe("mine");
    expect(await response.json()).toMatchObject({ id: `chatcmpl-${uuid}` });
  });

  test("a bad one is replaced with a warning", async () => {
    const response = await postChat(cluster.url, chat("hi"), { "x-dynamo-request-id": "NOT-A-VALID-UUID" });
    const id = response.headers.get("request-id");
    expect(response.status).toBe(200);
    const warnings = await eventually("the warnings", () => {
      const lines = cluster.frontend.lines().filter((line) => line["request_id"] === id && line["level"] === "WARN");
      return lines.length === 2 && lines;
    });
    expect(warnings.map((line) => line["message"])).toEqual([
      "x-dynamo-request-id header is deprecated (DEP #7812); server-generated request IDs should be used instead",
      "x-dynamo-request-id header must be a valid UUID, got: NOT-A-VALID-UUID",
    ]);
  });

  test("a bad one that looks like facts of a line is quoted", async () => {
    const value = "x request_id=forged status=success";
    const response = await postChat(cluster.url, chat("hi"), { "request-id": value });
    const warning = await eventually("the warning", () =>
      cluster.frontend
        .lines()
        .find((line) => line["request_id"] === response.headers.get("request-id") && line["level"] === "WARN"),
    );
    expect(warning["message"]).toBe(`request-id header must be a valid UUID, got: ${JSON.stringify(value)}`);
  });

  test("a client id with blanks is ignored and adds no key to any line", async () => {
    const response = await postChat(cluster.url, chat("hi"), { "x-request-id": "my id status=200 level=evil" });
    const id = response.headers.get("request-id");
    expect(response.headers.get("x-request-id")).toBe(id);
    const completed = await lineOf(cluster.frontend, "request completed", { request_id: id });
    expect(completed).not.toHaveProperty("x_request_id");
    expect(completed).toMatchObject({ level: "INFO", status: "success" });
  });
});
