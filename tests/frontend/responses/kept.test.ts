// Responses that clients come back to: their conversation goes on, they are shown and deleted, each for its own key, within bounds.
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Message } from "@dyn/runtime/llm";
import OpenAI from "openai";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createResponseStore } from "../../../packages/frontend/src/openai/responses/store.ts";
import { parseResponseRequest } from "../../../packages/frontend/src/openai/responses/request.ts";
import { openDirectory } from "../../support/directory.ts";
import { calls } from "../weather.ts";
import { post, readEvents } from "./events.ts";
import { startResponder, weather, type Responder } from "./responder.ts";

let at: Responder;
beforeAll(async () => {
  at = await startResponder();
});
afterAll(() => at[Symbol.asyncDispose]());
beforeEach(() => at.reset());

describe("a conversation goes on", () => {
  test("from a response, without its instructions, whole or streamed", async () => {
    const first = await at.openai.responses.create({ model: "caller", input: "one", instructions: "be kind" });
    const ask = { model: "caller", input: "two", previous_response_id: first.id };
    const second = await at.openai.responses.stream(ask).finalResponse();
    expect(second.previous_response_id).toBe(first.id);
    await at.openai.responses.create({ model: "caller", input: "three", previous_response_id: second.id });
    expect(at.asked.at(-1)?.messages.map(({ role, text }) => `${role}: ${text}`)).toEqual([
      "user: one",
      "assistant: hello world",
      "user: two",
      "assistant: hello world",
      "user: three",
    ]);
  });

  test("with the result of a call that is kept", async () => {
    at.yields = () => calls;
    const first = await at.openai.responses.create({ model: "caller", input: "weather?", tools: [weather] });
    const result = { type: "function_call_output", call_id: "call_1", output: "rain" } as const;
    at.reset();
    await at.openai.responses.create({ model: "caller", input: [result], previous_response_id: first.id });
    expect(at.asked[0]?.messages.at(-1)).toEqual({ role: "tool", text: "rain", toolCallId: "call_1" });
    expect(at.asked[0]?.messages.at(-2)).toMatchObject({ toolCalls: [{ id: "call_1" }, { id: "call_2" }] });
  });

  test("with items that are named by their ids", async () => {
    at.yields = () => calls;
    const { output } = await at.openai.responses.create({ model: "caller", input: "weather?", tools: [weather] });
    const named = output.map(({ id = "" }) => ({ type: "item_reference", id }) as const);
    const result = { type: "function_call_output", call_id: "call_2", output: "rain" } as const;
    at.reset();
    await at.openai.responses.create({ model: "caller", input: [{ role: "user", content: "w?" }, ...named, result] });
    expect(at.asked[0]?.messages).toMatchObject([
      { role: "user" },
      { role: "assistant", text: "let me see", toolCalls: [{ id: "call_1" }, { id: "call_2" }] },
      { role: "tool", toolCallId: "call_2" },
    ]);
    const unknown = await post(at.url, { model: "caller", input: [{ type: "item_reference", id: "msg_1" }] });
    expect([unknown.status, await unknown.json()]).toMatchObject([400, { error: { param: "input[0].id" } }]);
  });

  test("and no further than the memory for requests, however small their bodies are", async () => {
    at.yields = () => [{ text: "x".repeat(1_000_000) }];
    const { output } = await at.openai.responses.create({ model: "caller", input: "one" });
    at.reset();
    const input = Array.from({ length: 20_000 }, () => ({ type: "item_reference", id: output[0]?.id }));
    const response = await post(at.url, { model: "caller", input });
    const error = { code: "request_too_large", message: expect.stringContaining("DYN_MEMORY_LIMIT_MB") as string };
    expect([response.status, await response.json()]).toMatchObject([413, { error }]);
    expect(at.asked).toEqual([]);
  });

  test("with the memory that it takes counted, though its body has nothing of it", () => {
    const keeper = createResponseStore({ maxEntries: 1, maxBytes: 10_000 }).of("a");
    keeper.keep("1", { json: "{}", messages: [{ role: "user", text: "x".repeat(1_000) }] });
    const limits = { maxMessages: 10, maxCompletions: 1, maxEchoBytes: 1 };
    const ask = { model: "caller", input: "two" };
    const next = parseResponseRequest({ ...ask, previous_response_id: "1" }, limits, keeper);
    expect(next.keptBytes).toBeGreaterThan(2_000);
    expect(parseResponseRequest(ask, limits, keeper).keptBytes).toBeUndefined();
  });

  test("for as many messages as a request may have", async () => {
    await using short = await startResponder({ httpMaxMessages: 3 });
    const { id } = await short.openai.responses.create({ model: "caller", input: "one" });
    const ask = { model: "caller", previous_response_id: id };
    const full = await short.openai.responses.create({ ...ask, input: "two" });
    for (const [previous, count] of [
      [id, 2],
      [full.id, 1],
    ] as const) {
      const input = Array.from({ length: count }, () => ({ role: "user", content: "more" }));
      const response = await post(short.url, { ...ask, previous_response_id: previous, input });
      const before = previous === id ? 2 : 4;
      const message = `input must have at most 3 items together with the ${before} messages of previous_response_id, it has ${count}`;
      expect([response.status, await response.json()]).toMatchObject([400, { error: { param: "input", message } }]);
    }
  });

  test("only from what is kept", async () => {
    const { id, ...more } = await at.openai.responses.create({ model: "caller", input: "one", store: false });
    expect(more).toMatchObject({ store: false });
    const response = await post(at.url, { model: "caller", input: "two", previous_response_id: id });
    const error = { code: "previous_response_not_found", param: "previous_response_id", type: "invalid_request_error" };
    expect([response.status, await response.json()]).toMatchObject([400, { error }]);
    expect(await at.openai.responses.retrieve(id).catch((thrown: unknown) => thrown)).toMatchObject({ status: 404 });
  });
});

test("a response is shown as it was, until it is deleted", async () => {
  const whole = await at.openai.responses.create({ model: "caller", input: "one" });
  expect(await at.openai.responses.retrieve(whole.id)).toEqual(whole);
  const events = await readEvents(await post(at.url, { model: "caller", input: "one", stream: true }));
  const streamed = events.at(-1)?.data["response"] as OpenAI.Responses.Response;
  expect(await at.openai.responses.retrieve(streamed.id)).toMatchObject({ ...streamed });
  await expect(at.openai.responses.cancel(whole.id)).rejects.toMatchObject({ status: 400 });
  await expect(at.openai.responses.inputItems.list(whole.id)).rejects.toMatchObject({
    status: 404,
    message: `404 Route not found: "${whole.id}/input_items" below /v1/responses/`,
  });
  await at.openai.responses.delete(whole.id);
  await expect(at.openai.responses.delete(whole.id)).rejects.toMatchObject({ status: 404 });
  await expect(at.openai.responses.cancel(whole.id)).rejects.toMatchObject({ status: 404 });
});

test("the tokens of a request are counted as its answer counts them, with all that comes before", async () => {
  const first = await at.openai.responses.create({ model: "caller", input: "one two three" });
  const ask = { model: "caller", input: "four", previous_response_id: first.id };
  const { input_tokens, object } = await at.openai.responses.inputTokens.count(ask);
  expect(object).toBe("response.input_tokens");
  expect((await at.openai.responses.create(ask)).usage?.input_tokens).toBe(input_tokens);
});

test("nobody finds what another's key has asked for", async () => {
  await using directory = await openDirectory("dyn-kept-");
  const apiKeysFile = join(directory.path, "keys");
  const toLine = (key: string): string => `${createHash("sha256").update(key).digest("hex")} ${key}\n`;
  await writeFile(apiKeysFile, toLine("anna") + toLine("bert"));
  await using guarded = await startResponder({ apiKeysFile });
  const of = (apiKey: string): OpenAI => new OpenAI({ baseURL: `${guarded.url}/v1`, apiKey, maxRetries: 0 });
  const { id } = await of("anna").responses.create({ model: "caller", input: "one" });
  expect(await of("anna").responses.retrieve(id)).toMatchObject({ id });
  await expect(of("bert").responses.retrieve(id)).rejects.toMatchObject({ status: 404 });
  await expect(of("bert").responses.delete(id)).rejects.toMatchObject({ status: 404 });
  const theirs = { model: "caller", input: "two", previous_response_id: id };
  await expect(of("bert").responses.create(theirs)).rejects.toMatchObject({ code: "previous_response_not_found" });
  expect((await of("anna").responses.create(theirs)).status).toBe("completed");
});

test("a frontend that keeps none says so", async () => {
  await using forgetful = await startResponder({ keptResponses: 0 });
  const { id, ...more } = await forgetful.openai.responses.create({ model: "caller", input: "one" });
  expect(more).toMatchObject({ store: false });
  await expect(forgetful.openai.responses.retrieve(id)).rejects.toMatchObject({ status: 404 });
});

describe("a store", () => {
  const kept = (length: number): { json: string; messages: [] } => ({ json: "x".repeat(length), messages: [] });

  test("gives up the longest unused of too many", () => {
    const keeper = createResponseStore({ maxEntries: 2, maxBytes: 10_000 }).of("a");
    keeper.keep("1", kept(1));
    keeper.keep("2", kept(1));
    keeper.find("1");
    keeper.keep("3", kept(1));
    expect(["1", "2", "3"].map((id) => keeper.find(id) !== undefined)).toEqual([true, false, true]);
  });

  test("counts every text of a conversation, whatever field it is in", () => {
    const long = "x".repeat(1_000);
    const conversations: readonly Message[][] = [
      [{ role: "user", text: "", parts: [{ kind: "image", url: "u", detail: long }] }],
      [{ role: "user", text: "", parts: [{ kind: "file", data: "d", name: long }] }],
      [{ role: "user", text: "", parts: [{ kind: "file", fileId: long }] }],
      [{ role: "tool", text: "", toolCallId: long }],
      [{ role: "assistant", text: "", toolCalls: [{ id: "c", name: long, kind: "function", arguments: "" }] }],
      [{ role: "assistant", text: "", reasoning: long }],
    ];
    for (const messages of conversations) {
      const keeper = createResponseStore({ maxEntries: 2, maxBytes: 2_000 }).of("a");
      keeper.keep("1", { json: "", messages });
      expect(keeper.find("1"), JSON.stringify(messages).slice(0, 80)).toBeUndefined();
    }
  });

  test("holds no more bytes than it may, whosever they are", () => {
    const store = createResponseStore({ maxEntries: 100, maxBytes: 5_000 });
    for (const id of ["1", "2", "3"]) store.of("a").keep(id, kept(1_000));
    expect(["1", "2", "3"].map((id) => store.of("a").find(id) !== undefined)).toEqual([false, true, true]);
    store.of("b").keep("4", kept(3_000));
    expect(store.of("b").find("4")).toBeUndefined();
    store.of("b").keep("4", kept(1_000));
    expect([store.of("a").find("2"), store.of("b").find("4")]).toMatchObject([undefined, {}]);
  });
});
