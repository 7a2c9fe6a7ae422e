// Plain completions and Anthropic messages, as bytes on the wire.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCluster, type Cluster } from "../support/cluster.ts";

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster[Symbol.asyncDispose]());

function post(path: string, body: unknown): Promise<Response> {
  return fetch(`${cluster.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

interface TextCompletion {
  readonly id: string;
  readonly choices: readonly { readonly text: string; readonly index: number; readonly finish_reason: string }[];
  readonly usage: Record<string, number>;
}

async function complete(more: Readonly<Record<string, unknown>>): Promise<TextCompletion> {
  const response = await post("/v1/completions", { model: "mock", ...more });
  expect(response.status).toBe(200);
  return (await response.json()) as TextCompletion;
}

// Of usage: the mock has no cache, and has not thought.
const details = { prompt_tokens_details: { cached_tokens: 0 }, completion_tokens_details: { reasoning_tokens: 0 } };
const thought = { output_tokens_details: { thinking_tokens: 0 } };

describe("plain completions", () => {
  test("answer a string prompt", async () => {
    const { id, choices, usage } = await complete({ prompt: "one two three" });
    expect(id).toMatch(/^cmpl-[0-9a-f-]{36}$/);
    expect(choices).toEqual([{ text: "one two three", index: 0, logprobs: null, finish_reason: "stop" }]);
    expect(usage).toEqual({ prompt_tokens: 3, completion_tokens: 3, total_tokens: 6, ...details });
  });

  test("have 16 tokens at most unless told otherwise", async () => {
    const { choices, usage } = await complete({ prompt: "w ".repeat(40).trim() });
    expect(choices[0]?.finish_reason).toBe("length");
    expect(usage).toMatchObject({ prompt_tokens: 40, completion_tokens: 16 });
  });

  test("answer a batch with n each, in order, counting each prompt once", async () => {
    const { choices, usage } = await complete({ prompt: ["a", "b c"], n: 2 });
    expect(choices.map(({ index, text }) => [index, text])).toEqual([
      [0, "a"],
      [1, "a"],
      [2, "b c"],
      [3, "b c"],
    ]);
    expect(usage).toEqual({ prompt_tokens: 3, completion_tokens: 6, total_tokens: 9, ...details });
  });

  test("take token ids, alone and in batches", async () => {
    expect(await complete({ prompt: [11, 12, 13] })).toMatchObject({
      choices: [{ text: "11 12 13" }],
      usage: { prompt_tokens: 3 },
    });
    expect((await complete({ prompt: [[1], [2, 3]] })).choices.map(({ text }) => text)).toEqual(["1", "2 3"]);
  });

  test("echo the prompt before the completion, also alone", async () => {
    expect(await complete({ prompt: "so be it", echo: true })).toMatchObject({
      choices: [{ text: "so be itso be it" }],
      usage: { completion_tokens: 3 },
    });
    expect(await complete({ prompt: "so", echo: true, max_tokens: 0 })).toMatchObject({
      choices: [{ text: "so", finish_reason: "length" }],
    });
  });

  test("stream every choice whole, with usage when asked", async () => {
    const response = await post("/v1/completions", {
      model: "mock",
      prompt: ["a b", "c"],
      n: 2,
      echo: true,
      stream: true,
      stream_options: { include_usage: true },
    });
    const events = (await response.text()).trimEnd().split("\n\n");
    expect(events.pop()).toBe("data: [DONE]");
    const chunks = events.map((event) => JSON.parse(event.replace(/^data: /, "")) as TextCompletion);
    expect(chunks.pop()).toMatchObject({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 6 } });
    const texts = ["", "", "", ""];
    const reasons: Record<number, string> = {};
    for (const { choices } of chunks) {
      for (const { index, text, finish_reason } of choices) {
        texts[index] += text;
        if (finish_reason !== null) reasons[index] = finish_reason;
      }
    }
    expect(texts).toEqual(["a ba b", "a ba b", "cc", "cc"]);
    expect(reasons).toEqual({ 0: "stop", 1: "stop", 2: "stop", 3: "stop" });
  });

  test.each([
    ["prompt", { prompt: [] }],
    ["prompt[1]", { prompt: ["a", 1] }],
    ["prompt", {}],
    ["n", { prompt: "a", n: 0 }],
    ["n", { prompt: Array.from({ length: 9 }, () => "a"), n: 128 }],
    ["best_of", { prompt: "a", best_of: 3 }],
    ["logprobs", { prompt: "a", logprobs: 21 }],
    ["suffix", { prompt: "a", suffix: "b" }],
    ["echo", { prompt: [1], echo: true }],
    ["stream_options", { prompt: "a", stream_options: { include_usage: true } }],
  ])("refuse a bad %s by name", async (param, more) => {
    const response = await post("/v1/completions", { model: "mock", ...more });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { type: "invalid_request_error", param, message: expect.stringContaining(param) },
    });
  });
});

test("chat serves n choices, whole and streamed", async () => {
  const body = { model: "mock", messages: [{ role: "user", content: "a b" }], n: 3 };
  const whole = (await (await post("/v1/chat/completions", body)).json()) as {
    choices: { index: number; message: { content: string } }[];
  };
  expect(whole.choices.map(({ index, message }) => [index, message.content])).toEqual([
    [0, "a b"],
    [1, "a b"],
    [2, "a b"],
  ]);
  const events = (await (await post("/v1/chat/completions", { ...body, stream: true })).text())
    .trimEnd()
    .split("\n\n")
    .slice(0, -1);
  const texts = ["", "", ""];
  for (const event of events) {
    const { choices } = JSON.parse(event.slice(6)) as { choices: { index: number; delta: { content?: string } }[] };
    for (const { index, delta } of choices) texts[index] += delta.content ?? "";
  }
  expect(texts).toEqual(["a b", "a b", "a b"]);
});

describe("Anthropic messages", () => {
  const body = { model: "mock", max_tokens: 100, messages: [{ role: "user", content: "one two three" }] };

  test("answer with one text block and exact usage", async () => {
    const response = await post("/v1/messages", { ...body, system: "be brief" });
    const id = response.headers.get("request-id");
    expect(await response.json()).toEqual({
      id: `msg_${id}`,
      type: "message",
      role: "assistant",
      model: "mock",
      content: [{ type: "text", text: "one two three" }],
      stop_reason: "end_turn",
      stop_sequence: null,
      usage: {
        input_tokens: 5,
        output_tokens: 3,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        ...thought,
      },
    });
  });

  test.each([
    [{ max_tokens: 2 }, { stop_reason: "max_tokens", stop_sequence: null }],
    [{ stop_sequences: [" three"] }, { stop_reason: "stop_sequence", stop_sequence: " three" }],
  ])("say why they stopped: %j", async (more, stop) => {
    expect(await (await post("/v1/messages", { ...body, ...more })).json()).toMatchObject({
      content: [{ text: "one two" }],
      ...stop,
    });
  });

  test("stream named events in Anthropic's order", async () => {
    const text = await (await post("/v1/messages", { ...body, stream: true, stop_sequences: [" three"] })).text();
    const events = text
      .trimEnd()
      .split("\n\n")
      .map((event) => /^event: (\w+)\ndata: (.*)$/.exec(event));
    const names = events.map((match) => match?.[1]);
    expect(names.slice(0, 3)).toEqual(["message_start", "content_block_start", "ping"]);
    expect(names.slice(-3)).toEqual(["content_block_stop", "message_delta", "message_stop"]);
    for (const match of events) expect((JSON.parse(match?.[2] ?? "") as { type: string }).type).toBe(match?.[1]);
    expect(JSON.parse(events[0]?.[2] ?? "")).toMatchObject({
      message: { usage: { input_tokens: 3, output_tokens: 0 } },
    });
    expect(JSON.parse(events.at(-2)?.[2] ?? "")).toEqual({
      type: "message_delta",
      delta: { stop_reason: "stop_sequence", stop_sequence: " three" },
      usage: {
        input_tokens: 3,
        output_tokens: 3,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        ...thought,
      }, // the stop text was generated too
    });
  });

  test.each([
    { system: "be brief", messages: body.messages },
    { messages: [{ role: "user", content: [{ type: "text", text: "a  b c" }] }] },
  ])("count tokens as usage will say: %j", async (more) => {
    const counted = (await (await post("/v1/messages/count_tokens", { model: "mock", ...more })).json()) as {
      input_tokens: number;
    };
    const { usage } = (await (await post("/v1/messages", { ...body, ...more })).json()) as {
      usage: { input_tokens: number };
    };
    expect(counted.input_tokens).toBe(usage.input_tokens);
  });

  test.each([
    ["max_tokens", { max_tokens: undefined }],
    ["messages[0].content[0].type", { messages: [{ role: "user", content: [{ type: "video" }] }] }],
    ["messages[0].role", { messages: [{ role: "tool", content: "x" }] }],
    ["thinking.budget_tokens", { thinking: { type: "enabled", budget_tokens: 1023 } }],
    ["temperature", { temperature: 2 }],
  ])("refuse a bad %s by name in Anthropic's shape", async (param, more) => {
    const response = await post("/v1/messages", { ...body, ...more });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      type: "error",
      error: { type: "invalid_request_error", message: expect.stringContaining(param) },
      request_id: response.headers.get("request-id"),
    });
  });

  test("errors without a body or route have Anthropic's shape too", async () => {
    for (const [path, init, status] of [
      ["/v1/messages/nope", { method: "POST" }, 404],
      ["/v1/messages", { method: "GET" }, 405],
      ["/v1/messages/count_tokens", { method: "POST", body: "x", headers: { "content-type": "text/plain" } }, 415],
    ] as const) {
      const response = await fetch(`${cluster.url}${path}`, init);
      expect(response.status).toBe(status);
      expect(await response.json()).toMatchObject({ type: "error", request_id: response.headers.get("request-id") });
    }
  });
});
