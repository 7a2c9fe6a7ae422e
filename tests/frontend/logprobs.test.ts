// How likely tokens were: asked of an engine that can say it, and told token by token.
import type { Delta } from "@dyn/runtime/llm";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { expectAligned, likely, speak, startLikely, type Likely } from "../support/likely.ts";

const messages = [{ role: "user" as const, content: "hello big world" }];
let frontend: Likely;
beforeAll(async () => {
  frontend = await startLikely();
});
beforeEach(() => {
  frontend.engine = speak("one", " two", " three");
});
afterAll(() => frontend[Symbol.asyncDispose]());

describe("chat", () => {
  test("tells them to OpenAI's client, whole and streamed", async () => {
    const ask = { model: "mock", messages, logprobs: true, top_logprobs: 2 };
    const whole = await frontend.client.chat.completions.create(ask);
    const content = whole.choices[0]?.logprobs?.content ?? [];
    expect(content.map(({ token }) => token).join("")).toBe("hello big world");
    for (const { token, logprob, bytes, top_logprobs: top } of content) {
      expect(bytes).toEqual([...Buffer.from(token)]);
      expect(top).toHaveLength(2);
      expect(top[0]).toEqual({ token, logprob, bytes });
      expect(top[1]?.logprob).toBeLessThan(logprob);
      expect(Math.exp(logprob) + Math.exp(top[1]?.logprob ?? 0)).toBeLessThan(1);
    }
    const streamedContent = [];
    for await (const { choices } of await frontend.client.chat.completions.create({ ...ask, stream: true }))
      streamedContent.push(...(choices[0]?.logprobs?.content ?? []));
    expect(streamedContent).toEqual(content);
    const helped = await frontend.client.chat.completions.stream(ask).finalChatCompletion();
    expect(helped.choices[0]?.logprobs?.content).toEqual(content);
  });

  test.each([
    [{ logprobs: true }, { top: 0 }],
    [{ logprobs: true, top_logprobs: 20 }, { top: 20 }],
    [{ logprobs: false, top_logprobs: 0 }, undefined],
    [{ logprobs: null, top_logprobs: null }, undefined],
  ])("%j reaches the engine", async (more, expected) => {
    const [status] = await frontend.post("chat/completions", { model: "able", messages, ...more });
    expect([status, frontend.seen]).toEqual([200, expected]);
  });

  test("says nothing of those that nobody asked for", async () => {
    frontend.engine = async () => ({ text: "x", logprobs: [likely("x")] });
    const [, body] = await frontend.post("chat/completions", { model: "able", messages });
    expect(body).toMatchObject({ choices: [{ logprobs: null }] });
  });

  test("tells those of the text and not of calls", async () => {
    frontend.engine = async function* caller() {
      yield { text: "so", logprobs: [likely("so")] };
      yield { text: "", toolCalls: [{ index: 0, name: "f", arguments: "{}" }], logprobs: [likely("{}")] };
    };
    const tools = [{ type: "function" as const, function: { name: "f" } }];
    const ask = { model: "able", messages, tools, logprobs: true };
    const { choices } = await frontend.client.chat.completions.create(ask);
    expect(choices[0]?.logprobs?.content?.map(({ token }) => token)).toEqual(["so"]);
    const tokens = [];
    for await (const chunk of await frontend.client.chat.completions.create({ ...ask, stream: true }))
      tokens.push(...(chunk.choices[0]?.logprobs?.content ?? []).map(({ token }) => token));
    expect(tokens).toEqual(["so"]);
  });

  test("has the bytes that the engine says of a token within a character, and no infinity", async () => {
    frontend.engine = async function* halves() {
      yield { text: "", tokenIds: [1], logprobs: [{ token: "", logprob: -1, bytes: [240, 159] }] };
      yield { text: "🙂", tokenIds: [2], logprobs: [{ token: "", logprob: -Infinity, bytes: [153, 130] }] };
    };
    const { choices } = await frontend.client.chat.completions.create({ model: "able", messages, logprobs: true });
    expect(choices[0]?.logprobs?.content).toEqual([
      { token: "", logprob: -1, bytes: [240, 159], top_logprobs: [] },
      { token: "", logprob: -9999, bytes: [153, 130], top_logprobs: [] },
    ]);
  });
});

describe("completions as evaluation harnesses ask for them", () => {
  const ids = [
    [11, 22, 33],
    [5, 6],
  ];
  const ask = { model: "mock", echo: true, logprobs: 1, temperature: 0, seed: 1234 };

  test("have one entry for each token id of the prompts, and those that were made", async () => {
    const choices = await frontend.complete({ ...ask, prompt: ids, max_tokens: 1 });
    expect(choices.map(({ logprobs }) => logprobs?.tokens)).toEqual([
      ["11", " 22", " 33", "11"],
      ["5", " 6", "5"],
    ]);
    for (const choice of choices) {
      expectAligned(choice);
      const { tokens = [], token_logprobs: each = [], top_logprobs: top = [] } = choice.logprobs ?? {};
      expect([each[0], top[0]]).toEqual([null, null]);
      for (const [at, token] of tokens.entries()) if (at > 0) expect(top[at]?.[token]).toBe(each[at]);
    }
    expect(await frontend.stream({ ...ask, prompt: ids, max_tokens: 1 })).toEqual(choices);
  });

  test("have the prompt alone with max_tokens 0", async () => {
    const [choice] = await frontend.complete({ ...ask, prompt: "hello big world", max_tokens: 0 });
    expect(choice).toMatchObject({ text: "hello big world", finish_reason: "length" });
    expect(choice?.logprobs?.tokens).toEqual(["hello", " big", " world"]);
    expect(await frontend.stream({ ...ask, prompt: "hello big world", max_tokens: 0 })).toEqual([choice]);
  });

  test("have the same likelihood at every worker and in every request, and not always that of the likeliest", async () => {
    const prompt = Array.from({ length: 40 }, (_, index) => `word${index}`).join(" ");
    const [one] = await frontend.complete({ ...ask, prompt, max_tokens: 1 });
    expect(await frontend.complete({ ...ask, prompt, max_tokens: 1 })).toEqual([one]);
    const { token_logprobs: each = [], top_logprobs: top = [] } = one?.logprobs ?? {};
    const isGreedy = top.slice(1).map((map, at) => each[at + 1] === Math.max(...Object.values(map ?? {})));
    expect(new Set(isGreedy)).toEqual(new Set([true, false]));
  });

  test("count characters, not halves of them, where a token begins", async () => {
    frontend.engine = speak("🙂", " b");
    const [choice] = await frontend.complete({ prompt: "a 🙂 c", logprobs: 0, echo: true });
    expect(choice?.logprobs?.text_offset).toEqual([0, 1, 3, 5, 6]);
    if (choice) expectAligned(choice);
  });

  test.each([
    [{ logprobs: 0 }, { top: 0 }],
    [
      { logprobs: 5, echo: true },
      { top: 5, prompt: true },
    ],
    [{ logprobs: null, echo: true }, undefined],
  ])("%j reaches the engine", async (more, expected) => {
    await frontend.complete(more);
    expect(frontend.seen).toEqual(expected);
  });
});

describe("is refused:", () => {
  test.each([
    ["chat/completions", { top_logprobs: 1 }, "top_logprobs is only allowed when logprobs is true"],
    ["chat/completions", { logprobs: true, top_logprobs: 21 }, "top_logprobs must be at most 20"],
    ["chat/completions", { logprobs: 1 }, "logprobs must be true or false"],
    ["completions", { logprobs: 21 }, "logprobs must be at most 20"],
    ["completions", { logprobs: -1 }, "logprobs must be at least 0"],
    ["completions", { logprobs: true }, "logprobs must be a number"],
    ["completions", { prompt: [1], echo: true }, "echo is not supported with token ids unless logprobs are asked for"],
  ])("%s %j", async (path, more, message) => {
    const body = { model: "able", messages, prompt: "x", ...more };
    expect(await frontend.post(path, body)).toMatchObject([400, { error: { message } }]);
  });

  test("what an engine cannot say", async () => {
    const message = 'the engine of model "unable" cannot say how likely its tokens are, and logprobs ask for it';
    const chat = { model: "unable", messages, logprobs: true };
    expect(await frontend.post("chat/completions", chat)).toMatchObject([501, { error: { message } }]);
    const text = { model: "unable", prompt: "x", logprobs: 0 };
    expect(await frontend.post("completions", text)).toMatchObject([501, { error: { message } }]);
  });

  test.each([
    [{ logprobs: 0 }, "its answer"],
    [{ logprobs: 0, echo: true }, "the prompt"],
  ])("%j of an engine that says it can, and says nothing", async (more, what) => {
    frontend.engine = async () => ({ text: "x" });
    const message = `the engine of model "able" says nothing of the likelihood of the tokens of ${what}`;
    for (const stream of [false, true]) {
      const body = { model: "able", prompt: "x", stream, ...more };
      expect(await frontend.post("completions", body)).toMatchObject([501, { error: { message } }]);
    }
  });

  test("more of them than may be held of an answer", async () => {
    const top = Array.from({ length: 20 }, (_, index) => likely(`${index}`.repeat(20)));
    const tokens = Array.from({ length: 600 }, () => ({ ...likely("a"), top }));
    frontend.engine = async () => ({ text: "a".repeat(600), logprobs: tokens });
    const [status] = await frontend.post("completions", { model: "able", prompt: "x", logprobs: 20 });
    expect(status).toBe(500);
  });

  test.each([[[{ token: "x" }]], [[{ token: "x", logprob: 1 }]], [[{ token: "x", logprob: null }]], ["x"]])(
    "what is no likelihood: %j",
    async (logprobs) => {
      frontend.engine = async () => ({ text: "x", logprobs }) as unknown as Delta;
      expect(await frontend.post("completions", { model: "able", prompt: "x", logprobs: 1 })).toMatchObject([500, {}]);
    },
  );
});
