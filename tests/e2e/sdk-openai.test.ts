// What only OpenAI's client has: several choices, plain completions, log probabilities refused, raw responses, the stream helper.
import OpenAI, { BadRequestError, NotFoundError } from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCluster, type Cluster } from "../support/cluster.ts";

let cluster: Cluster;
let client: OpenAI;
beforeAll(async () => {
  cluster = await startCluster();
  await cluster.addWorker("--model-name", "org/mock");
  client = new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: "unused", maxRetries: 0 });
});
afterAll(() => cluster[Symbol.asyncDispose]());

const messages = [{ role: "user" as const, content: "one two three" }];

test("models are listed and shown, also with a slash in the name", async () => {
  const ids = (await client.models.list()).data.map(({ id }) => id);
  expect(ids).toEqual(["mock", "org/mock"]);
  const shown = await client.models.retrieve("org/mock");
  expect(shown).toMatchObject({ id: "org/mock", object: "model", owned_by: "dyn", created: expect.any(Number) });
  await expect(client.models.retrieve("org/nobody")).rejects.toThrow(NotFoundError);
});

describe("plain completions", () => {
  test.each([
    ["a batch with n each", { prompt: ["a b", "c"], n: 2 }, ["a b", "a b", "c", "c"], 3, 6],
    ["an echo", { prompt: "so be it", echo: true }, ["so be itso be it"], 3, 3],
    ["an echo alone", { prompt: "so", echo: true, max_tokens: 0 }, ["so"], 1, 0],
    ["token ids", { prompt: [11, 12, 13] }, ["11 12 13"], 3, 3],
    ["batches of token ids", { prompt: [[1], [2, 3]] }, ["1", "2 3"], 3, 3],
  ])("answer %s", async (_name, fields, texts, prompt_tokens, completion_tokens) => {
    const { choices, usage } = await client.completions.create({ model: "mock", ...fields });
    expect(choices.map(({ text }) => text)).toEqual(texts);
    expect(choices.map(({ index }) => index)).toEqual(texts.map((_text, index) => index));
    expect(usage).toMatchObject({ prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens });
  });

  test("stream every choice of a batch", async () => {
    const texts = ["", "", "", ""];
    const stream = await client.completions.create({
      model: "mock",
      prompt: ["a b", "c"],
      n: 2,
      echo: true,
      stream: true,
    });
    for await (const { choices } of stream) for (const { index, text } of choices) texts[index] += text;
    expect(texts).toEqual(["a ba b", "a ba b", "cc", "cc"]);
  });
});

test("chat gives n choices, whole and streamed", async () => {
  const whole = await client.chat.completions.create({ model: "mock", messages, n: 3 });
  expect(whole.choices.map(({ message }) => message.content)).toEqual([
    "one two three",
    "one two three",
    "one two three",
  ]);
  const streamed = await client.chat.completions.stream({ model: "mock", messages, n: 3 }).finalChatCompletion();
  expect(streamed.choices.map(({ index, message, finish_reason }) => [index, message.content, finish_reason])).toEqual(
    whole.choices.map(({ index, message, finish_reason }) => [index, message.content, finish_reason]),
  );
});

test("top_logprobs without logprobs is refused by name", async () => {
  const expected = { param: "top_logprobs", code: "invalid_value", type: "invalid_request_error" };
  const refused = client.chat.completions.create({ model: "mock", messages, top_logprobs: 3 });
  await expect(refused).rejects.toMatchObject(expected);
});

test("plain completions refuse suffix by name", async () => {
  const refused = client.completions.create({ model: "mock", prompt: "x", suffix: "y" });
  await expect(refused).rejects.toThrow(BadRequestError);
  await expect(refused).rejects.toMatchObject({ param: "suffix", code: "unsupported_value" });
});

test("what we do not serve is not found, by name", async () => {
  for (const call of [() => client.files.list(), () => client.batches.list()]) {
    const refused = call();
    await expect(refused).rejects.toThrow(NotFoundError);
    await expect(refused).rejects.toMatchObject({ code: "unknown_url" });
  }
});

test("raw responses have the id in header and body, and streams end with [DONE]", async () => {
  const { data, response, request_id } = await client.chat.completions
    .create({ model: "mock", messages })
    .withResponse();
  expect(request_id).toBe(response.headers.get("x-request-id"));
  expect(data.id).toBe(`chatcmpl-${request_id}`);
  const raw = await client.chat.completions.create({ model: "mock", messages, stream: true }).asResponse();
  expect((await raw.text()).endsWith("data: [DONE]\n\n")).toBe(true);
});

test("the stream helper ends with the completion the unary call has", async () => {
  const {
    id: _id,
    created: _created,
    usage,
    ...unary
  } = await client.chat.completions.create({ model: "mock", messages });
  const options = { model: "mock", messages, stream_options: { include_usage: true } };
  const final = await client.chat.completions.stream(options).finalChatCompletion();
  expect(final).toMatchObject({ ...unary, usage });
});
