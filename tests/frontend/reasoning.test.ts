// Thinking from the engine to the official clients and back, and the client's wishes on their way to the engine: both APIs, whole and streamed.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { createFrontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime, type Runtime } from "@dyn/runtime";
import { partsOf } from "@dyn/runtime/internal";
import { serveModel, type Delta, type Engine, type ModelRequest } from "@dyn/runtime/llm";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { postChat } from "../support/cluster.ts";

const config = { discoveryBackend: "mem", log: "off" } as const;
const messages = [{ role: "user" as const, content: "what is it?" }];
let runtimes: Runtime[];
let url: string;
let openai: OpenAI;
let anthropic: Anthropic;
let close: () => Promise<void>;
/** What engines yield, and what they were asked. */
let yields: (request: ModelRequest) => readonly Delta[];
let asked: ModelRequest[];

const thought: readonly Delta[] = [
  { text: "", reasoning: "They ask" },
  { text: "", reasoning: " for it." },
  { text: "It", tokenIds: [1] },
  { text: " is." },
];

const engine: Engine = async function* (request, context) {
  asked.push(request);
  for (const delta of yields(request)) {
    yield delta;
    await new Promise((resolve) => setImmediate(resolve)); // each leaves by itself
  }
  if (request.model === "lost" && context.attempt === 0) partsOf(context).connection.cut();
};

beforeAll(async () => {
  const memorySpace = createMemorySpace();
  runtimes = await Promise.all([0, 1, 2].map(() => createRuntime({ config, memorySpace })));
  const [first, second, third] = runtimes as [Runtime, Runtime, Runtime];
  const capabilities = ["reasoning", "tools"] as const;
  const endpoint = (name: string): string => `dyn://dynamo.${name}.generate`;
  await serveModel(first, { model: "thinker", capabilities }, engine);
  await serveModel(first, { model: "talker", endpoint: endpoint("talker") }, engine);
  for (const runtime of [first, second])
    await serveModel(runtime, { model: "lost", endpoint: endpoint("lost"), migrationLimit: 3, capabilities }, engine);
  const frontend = await createFrontend({ runtime: third, httpPort: 0 });
  ({ url } = frontend);
  close = () => frontend.close();
  openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused", maxRetries: 0 });
  anthropic = new Anthropic({ baseURL: url, apiKey: "unused", maxRetries: 0 });
});
afterAll(async () => {
  await close();
  await Promise.all(runtimes.map((runtime) => runtime.close()));
});
beforeEach(() => {
  asked = [];
  yields = () => thought;
});

const usage = { completion_tokens: 4, completion_tokens_details: { reasoning_tokens: 2 } };
const blocks = [
  { type: "thinking", thinking: "They ask for it.", signature: expect.stringMatching(/^dyn-./) },
  { type: "text", text: "It is." },
];

describe("thinking reaches", () => {
  test("OpenAI's client, whole and streamed", async () => {
    const whole = await openai.chat.completions.create({ model: "thinker", messages });
    expect(whole).toMatchObject({
      choices: [{ message: { content: "It is.", reasoning_content: "They ask for it." }, finish_reason: "stop" }],
      usage,
    });
    const deltas: unknown[] = [];
    let last: unknown;
    for await (const chunk of await openai.chat.completions.create({
      model: "thinker",
      messages,
      stream: true,
      stream_options: { include_usage: true },
    })) {
      if (chunk.choices[0]) deltas.push(chunk.choices[0].delta);
      last = chunk.usage ?? last;
    }
    expect(deltas).toEqual([
      { role: "assistant", content: null },
      { reasoning_content: "They ask" },
      { reasoning_content: " for it." },
      { content: "It" },
      { content: " is." },
      {},
    ]);
    expect(last).toMatchObject(usage);
  });

  test("Anthropic's client, whole and streamed, in a block that is signed", async () => {
    const ask = { model: "thinker", max_tokens: 100, messages };
    const whole = await anthropic.messages.create(ask);
    const counted = { output_tokens: 4, output_tokens_details: { thinking_tokens: 2 } };
    expect(whole).toMatchObject({ content: blocks, stop_reason: "end_turn", usage: counted });
    expect(await anthropic.messages.stream(ask).finalMessage()).toMatchObject({ content: blocks, usage: counted });
  });

  test("a client that wants none of its text: the block and its signature alone", async () => {
    const ask = {
      model: "thinker",
      max_tokens: 100,
      messages,
      thinking: { type: "adaptive", display: "omitted" },
    } as const;
    const omitted = [{ ...blocks[0], thinking: "" }, blocks[1]];
    expect(await anthropic.messages.create(ask)).toMatchObject({ content: omitted });
    expect(await anthropic.messages.stream(ask).finalMessage()).toMatchObject({ content: omitted });
    const events: unknown[] = [];
    for await (const event of await anthropic.messages.create({ ...ask, stream: true })) events.push(event);
    expect(events.slice(1, 4)).toEqual([
      { type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "", signature: "" } },
      {
        type: "content_block_delta",
        index: 0,
        delta: { type: "signature_delta", signature: expect.stringMatching(/^dyn-./) },
      },
      { type: "content_block_stop", index: 0 },
    ]);
    for (const { content } of [
      await anthropic.messages.create(ask),
      await anthropic.messages.stream(ask).finalMessage(),
    ])
      await anthropic.messages.create({ ...ask, messages: [...messages, { role: "assistant", content }, ...messages] });
    const seen = asked.flatMap((request) => request.messages[1] ?? []);
    expect(seen.map(({ text, reasoning }) => [text, reasoning])).toEqual([
      ["It is.", "They ask for it."],
      ["It is.", "They ask for it."],
    ]);
  });

  test("a client between texts and calls, each in a block of its own", async () => {
    yields = () => [
      { reasoning: "a", text: "b" },
      { reasoning: "c", text: "", toolCalls: [{ index: 0, name: "weather", arguments: "{}" }] },
    ];
    const ask = { model: "thinker", max_tokens: 100, messages };
    const { content } = await anthropic.messages.stream(ask).finalMessage();
    expect(content).toMatchObject([
      { type: "thinking", thinking: "a" },
      { type: "text", text: "b" },
      { type: "thinking", thinking: "c" },
      { type: "tool_use", name: "weather" },
    ]);
    const [choice] = (await openai.chat.completions.create({ model: "thinker", messages })).choices;
    expect(choice).toMatchObject({
      message: { reasoning_content: "ac", content: "b", tool_calls: [{ function: { name: "weather" } }] },
      finish_reason: "tool_calls",
    });
  });

  test("a client whose max_tokens end in the middle of it", async () => {
    yields = () => [...thought.slice(0, 2), { text: "", reasoning: " Or not." }];
    const whole = await openai.chat.completions.create({ model: "thinker", messages, max_tokens: 2 });
    expect(whole).toMatchObject({
      choices: [{ message: { content: "", reasoning_content: "They ask for it." }, finish_reason: "length" }],
      usage: { completion_tokens: 2, completion_tokens_details: { reasoning_tokens: 2 } },
    });
    expect(await anthropic.messages.create({ model: "thinker", messages, max_tokens: 2 })).toMatchObject({
      content: [{ type: "thinking", thinking: "They ask for it." }],
      stop_reason: "max_tokens",
    });
  });

  test("a client of plain completions not: they have no place for it, but count it", async () => {
    const whole = await openai.completions.create({ model: "thinker", prompt: "what is it?" });
    expect(whole).toMatchObject({ choices: [{ text: "It is." }], usage });
  });

  test("a client of a worker that is lost while it thinks, once and whole", async () => {
    yields = ({ generated }) => {
      if (!generated) return thought.slice(0, 1);
      expect(generated).toMatchObject({ text: "", tokens: 1, reasoning: "They ask", reasoningTokens: 1 });
      return thought.slice(1);
    };
    expect(await openai.chat.completions.create({ model: "lost", messages })).toMatchObject({
      choices: [{ message: { content: "It is.", reasoning_content: "They ask for it." } }],
      usage,
    });
    const ask = { model: "lost", max_tokens: 100, messages };
    expect(await anthropic.messages.stream(ask).finalMessage()).toMatchObject({
      content: blocks,
      usage: { output_tokens: 4, output_tokens_details: { thinking_tokens: 2 } },
    });
    expect(asked).toHaveLength(4);
  });

  test("several choices, each with its own, counted together", async () => {
    const whole = await openai.chat.completions.create({ model: "thinker", messages, n: 2 });
    const message = { content: "It is.", reasoning_content: "They ask for it." };
    expect(whole).toMatchObject({
      choices: [{ message }, { message }],
      usage: { completion_tokens: 8, completion_tokens_details: { reasoning_tokens: 4 } },
    });
  });

  test("a client with the engine's own count of it", async () => {
    yields = () => [...thought, { text: "", usage: { completionTokens: 40, reasoningTokens: 30, cachedTokens: 2 } }];
    expect((await openai.chat.completions.create({ model: "thinker", messages })).usage).toMatchObject({
      completion_tokens: 40,
      prompt_tokens_details: { cached_tokens: 2 },
      completion_tokens_details: { reasoning_tokens: 30 },
    });
  });
});

test("the history of a request says how much of it was thinking", async () => {
  const { _request_id: id } = await openai.chat.completions.create({ model: "thinker", messages });
  const response = await fetch(`${url}/v1/requests/${id}`);
  const tree = await response.text();
  expect(tree).toContain('"output_tokens":4');
  expect(tree).toContain('"reasoning_tokens":2');
});

test("usage has its details where there is nothing to count", async () => {
  yields = () => [{ text: "It is." }];
  expect((await openai.chat.completions.create({ model: "thinker", messages })).usage).toMatchObject({
    prompt_tokens_details: { cached_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0 },
  });
  const message = await anthropic.messages.create({ model: "thinker", max_tokens: 9, messages });
  expect(message.usage).toMatchObject({ output_tokens_details: { thinking_tokens: 0 } });
});

describe("the engine sees", () => {
  test.each([
    ["low", { isEnabled: true, effort: "low" }],
    ["none", { isEnabled: false }],
    ["as much as you like", { isEnabled: true, effort: "as much as you like" }],
  ])("reasoning_effort %j", async (reasoning_effort, reasoning) => {
    await postChat(url, { model: "thinker", messages, reasoning_effort });
    expect(asked.map((request) => request.reasoning)).toEqual([reasoning]);
  });

  test.each([
    [{ thinking: { type: "disabled" } }, { isEnabled: false }],
    [
      { thinking: { type: "adaptive" }, output_config: { effort: "high" } },
      { isEnabled: true, effort: "high" },
    ],
    [{ thinking: { type: "enabled", budget_tokens: 2_048 } }, { isEnabled: true, budgetTokens: 2_048 }],
    [{ output_config: { effort: "max" } }, { effort: "max" }],
    [{ output_config: { effort: 7 } }, undefined],
    [{ output_config: {} }, undefined],
    [{}, undefined],
  ])("%j", async (fields, reasoning) => {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ model: "thinker", max_tokens: 9, messages, ...fields });
    expect((await fetch(`${url}/v1/messages`, { method: "POST", headers, body })).status).toBe(200);
    expect(asked.map((request) => request.reasoning)).toEqual([reasoning]);
  });

  test("what was thought in earlier turns, as the clients send it back", async () => {
    const said = { role: "assistant", content: "It is." };
    const wanted = { role: "assistant", text: "It is.", reasoning: "They ask for it." };
    for (const more of [{ reasoning_content: "They ask for it." }, { reasoning: "They ask for it." }])
      await postChat(url, { model: "thinker", messages: [...messages, { ...said, ...more }, ...messages] });
    const { content } = await anthropic.messages.create({ model: "thinker", max_tokens: 9, messages });
    const history = [...messages, { role: "assistant" as const, content }, ...messages];
    await anthropic.messages.create({ model: "thinker", max_tokens: 9, messages: history });
    const seen = asked.map((request) => request.messages[1]);
    expect(seen).toEqual([wanted, wanted, undefined, wanted]);
  });
});

test("an engine that does not think is asked for none, and its client gets an answer", async () => {
  yields = () => [{ text: "It is." }];
  const thinking = { type: "enabled", budget_tokens: 1_024 } as const;
  const { content } = await anthropic.messages.create({ model: "talker", max_tokens: 9, messages, thinking });
  expect(content).toEqual([{ type: "text", text: "It is." }]);
  await postChat(url, { model: "talker", messages, reasoning_effort: "high" });
  expect(asked.map(({ reasoning }) => reasoning)).toEqual([undefined, undefined]);
});

test.each([
  [{ reasoning_effort: "x".repeat(65) }, "reasoning_effort must have at most 64 characters, not 65"],
  [{ reasoning_effort: 7 }, "reasoning_effort must be a string"],
])("%j is refused", async (fields, message) => {
  const response = await postChat(url, { model: "thinker", messages, ...fields });
  expect([response.status, await response.json()]).toMatchObject([400, { error: { message } }]);
});

test("what is no thinking is the engine's fault", async () => {
  yields = () => [{ text: "", reasoning: 7 as unknown as string }];
  expect((await postChat(url, { model: "thinker", messages })).status).toBe(500);
});
