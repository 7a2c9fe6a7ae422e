// Tools from the client to the engine and calls back, as the official clients see them: both APIs, whole and streamed, and what is refused.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { createFrontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime, RuntimeError, type Runtime } from "@dyn/runtime";
import { partsOf } from "@dyn/runtime/internal";
import { serveModel, type Delta, type Engine, type ModelRequest } from "@dyn/runtime/llm";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { postChat } from "../support/cluster.ts";
import { messages, chatTool, tool, neutral, calls, wanted, blocks } from "./weather.ts";

const config = { discoveryBackend: "mem", log: "off" } as const;
let runtimes: Runtime[];
let url: string;
let openai: OpenAI;
let anthropic: Anthropic;
let close: () => Promise<void>;
/** What the engine of "caller" yields, and what engines were asked. */
let yields: (request: ModelRequest, attempt: number) => readonly Delta[];
let asked: ModelRequest[];

const engine: Engine = async function* (request, context) {
  asked.push(request);
  const deltas = yields(request, context.attempt);
  for (const delta of deltas) {
    yield delta;
    await new Promise((resolve) => setImmediate(resolve)); // each leaves by itself
  }
  if (
    deltas.length > 0 &&
    deltas.at(-1)?.finishReason === undefined &&
    context.attempt === 0 &&
    request.model === "lost"
  )
    partsOf(context).connection.cut();
};

beforeAll(async () => {
  const memorySpace = createMemorySpace();
  runtimes = await Promise.all([0, 1, 2].map(() => createRuntime({ config, memorySpace })));
  const [first, second, third] = runtimes as [Runtime, Runtime, Runtime];
  const capabilities = ["tools"] as const;
  await serveModel(first, { model: "caller", capabilities }, engine);
  const endpoint = (name: string): string => `dyn://dynamo.${name}.generate`;
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
  yields = () => calls;
});

describe("calls reach", () => {
  test("OpenAI's client, whole and streamed", async () => {
    const ask = { model: "caller", messages, tools: [chatTool] };
    const whole = await openai.chat.completions.create(ask);
    expect(whole.choices).toMatchObject([
      { message: { content: "let me see", tool_calls: wanted }, finish_reason: "tool_calls" },
    ]);
    expect(whole.usage?.completion_tokens).toBe(4);
    const streamed = await openai.chat.completions.stream(ask).finalChatCompletion();
    expect(streamed.choices[0]).toMatchObject({
      message: {
        content: "let me see",
        tool_calls: wanted.map(({ id, type, function: called }) => ({ id, type, function: called })),
      },
      finish_reason: "tool_calls",
    });
  });

  test("Anthropic's client, whole and streamed", async () => {
    const ask = { model: "caller", max_tokens: 100, messages, tools: [tool] };
    const whole = await anthropic.messages.create(ask);
    expect(whole).toMatchObject({ content: blocks, stop_reason: "tool_use", usage: { output_tokens: 4 } });
    const streamed = await anthropic.messages.stream(ask).finalMessage();
    expect(streamed).toMatchObject({ content: blocks, stop_reason: "tool_use" });
  });

  test("a client without a word of text: null, or no block", async () => {
    yields = () => [{ text: "", toolCalls: [{ index: 0, name: "weather" }] }];
    const [choice] = (await openai.chat.completions.create({ model: "caller", messages, tools: [chatTool] })).choices;
    expect(choice).toMatchObject({ message: { content: null, tool_calls: [{ function: { arguments: "" } }] } });
    const stream = await openai.chat.completions.create({ model: "caller", messages, tools: [chatTool], stream: true });
    const deltas: unknown[] = [];
    for await (const { choices } of stream) deltas.push(choices[0]?.delta);
    expect(deltas[0]).toEqual({ role: "assistant", content: null });
    const message = await anthropic.messages.create({
      model: "caller",
      max_tokens: 9,
      messages,
      tools: [tool],
    });
    expect(message.content).toMatchObject([{ type: "tool_use", id: expect.stringMatching(/^toolu_/), input: {} }]);
  });

  test("a client that has a custom tool, as its text", async () => {
    yields = () => [{ text: "", toolCalls: [{ index: 0, name: "patch", kind: "custom", arguments: "*** Begin" }] }];
    const custom = { type: "custom", custom: { name: "patch", format: { type: "text" } } } as const;
    const ask = { model: "caller", messages, tools: [custom] };
    const [choice] = (await openai.chat.completions.create(ask)).choices;
    expect(choice?.message.tool_calls).toMatchObject([
      { type: "custom", custom: { name: "patch", input: "*** Begin" } },
    ]);
    expect(asked[0]?.tools).toEqual([{ name: "patch", kind: "custom", format: { type: "text" } }]);
  });

  test("a client whose custom tool has no format", async () => {
    yields = () => [{ text: "", toolCalls: [{ index: 0, name: "patch", kind: "custom", arguments: "*** Begin" }] }];
    const custom = { type: "custom", custom: { name: "patch" } } as const;
    await openai.chat.completions.create({ model: "caller", messages, tools: [custom] });
    expect(asked[0]?.tools).toEqual([{ name: "patch", kind: "custom" }]);
  });

  test("a client whose answer is cut by max_tokens, as far as they go", async () => {
    const ask = { model: "caller", messages, tools: [chatTool], max_tokens: 3 };
    const [choice] = (await openai.chat.completions.create(ask)).choices;
    expect(choice).toMatchObject({
      finish_reason: "length",
      message: { tool_calls: [{ function: { arguments: '{"city":"Ly' } }] },
    });
    const message = await anthropic.messages.create({
      model: "caller",
      max_tokens: 3,
      messages,
      tools: [tool],
    });
    expect(message).toMatchObject({ stop_reason: "max_tokens", content: [{}, { type: "tool_use", input: {} }] });
  });

  test("a client of a worker that is lost in the middle, once and whole", async () => {
    yields = ({ generated }) => {
      if (!generated) return calls.slice(0, 3);
      expect(generated.toolCalls).toEqual([
        { id: "call_1", name: "weather", kind: "function", arguments: '{"city":"Ly' },
      ]);
      return calls.slice(3);
    };
    const ask = { model: "lost", messages, tools: [chatTool] };
    for (const choice of [
      (await openai.chat.completions.create(ask)).choices[0],
      (await openai.chat.completions.stream(ask).finalChatCompletion()).choices[0],
    ])
      expect(choice).toMatchObject({ message: { tool_calls: wanted }, finish_reason: "tool_calls" });
    expect(asked).toHaveLength(4);
  });
});

describe("the engine sees", () => {
  test.each([
    [{ tool_choice: "auto" }, { type: "auto" }, { mode: "auto" }],
    [{ tool_choice: "none" }, { type: "none" }, { mode: "none" }],
    [{ tool_choice: "required" }, { type: "any" }, { mode: "required" }],
    [
      { tool_choice: { type: "function", function: { name: "weather" } } },
      { type: "tool", name: "weather" },
      { mode: "named", name: "weather" },
    ],
  ] as const)("%j as it is meant", async (chosen, theirs, choice) => {
    await openai.chat.completions.create({ model: "caller", messages, tools: [chatTool], ...chosen });
    const given = { model: "caller", max_tokens: 9, messages, tools: [tool], tool_choice: theirs };
    await anthropic.messages.create(given);
    expect(asked.map(({ toolChoice }) => toolChoice)).toEqual([choice, choice]);
    expect(asked.map(({ tools }) => tools)).toEqual([[{ ...neutral, strict: true }], [neutral]]);
  });

  test("which tools are allowed, and that one call at a time is wanted", async () => {
    const allowed_tools = { mode: "required" as const, tools: [{ type: "function", function: { name: "weather" } }] };
    await openai.chat.completions.create({
      model: "caller",
      messages,
      tools: [chatTool],
      tool_choice: { type: "allowed_tools", allowed_tools },
      parallel_tool_calls: false,
    });
    await anthropic.messages.create({
      model: "caller",
      max_tokens: 9,
      messages,
      tools: [tool],
      tool_choice: { type: "auto", disable_parallel_tool_use: true },
    });
    expect(asked).toMatchObject([
      { toolChoice: { mode: "required", allowed: ["weather"] }, parallelToolCalls: false },
      { toolChoice: { mode: "auto" }, parallelToolCalls: false },
    ]);
  });

  test("calls and results of earlier turns", async () => {
    const history = [
      { role: "user", content: "what is the weather?" },
      { role: "assistant", content: null, tool_calls: wanted },
      { role: "tool", tool_call_id: "call_1", content: "sunny" },
    ];
    await openai.chat.completions.create({ model: "caller", messages: history as never, tools: [chatTool] });
    await anthropic.messages.create({
      model: "caller",
      max_tokens: 9,
      messages: [
        messages[0] as never,
        { role: "assistant", content: blocks.slice(1) as never },
        { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1", content: "sunny" }] },
      ],
    });
    const toolCalls = wanted.map(({ id, function: called }) => ({ id, kind: "function", ...called }));
    expect(asked[0]?.messages).toEqual(
      [
        messages[0],
        { role: "assistant", text: "", toolCalls },
        { role: "tool", text: "sunny", toolCallId: "call_1" },
      ].map((message) => ("content" in (message as object) ? { role: "user", text: "what is the weather?" } : message)),
    );
    expect(asked[1]?.messages.slice(1)).toEqual([
      {
        role: "assistant",
        text: "",
        toolCalls: toolCalls.map((call) => ({ ...call, id: call.id.replace("call", "toolu") })),
      },
      { role: "tool", text: "sunny", toolCallId: "toolu_1" },
    ]);
  });

  test("a tool and a call of which clients have said no more than they must", async () => {
    const custom = { type: "custom", custom: { name: "patch" } };
    await openai.chat.completions.create({ model: "caller", messages, tools: [custom] as never });
    const call = { type: "tool_use", id: "toolu_1", name: "now" };
    const history = [messages[0], { role: "assistant", content: [call] }, messages[0]];
    await anthropic.messages.create({ model: "caller", max_tokens: 9, messages: history as never });
    expect(asked[0]?.tools).toEqual([{ name: "patch", kind: "custom" }]);
    expect(asked[1]?.messages[1]?.toolCalls).toMatchObject([{ name: "now", arguments: "{}" }]);
  });

  test("schemas to the last digit", async () => {
    const parameters = '{"properties":{"id":{"maximum":12345678901234567890}}}';
    const body = `{"model":"caller","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f","parameters":${parameters}}}]}`;
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body });
    expect(response.status).toBe(200);
    expect(JSON.stringify(asked[0]?.tools?.[0]?.parameters)).toBe(parameters);
  });
});

describe("is refused", () => {
  test.each([
    [{ tool_choice: "required" }, 400, "tool_choice asks for a call, and there are no tools"],
    [
      { tools: [chatTool], tool_choice: { type: "function", function: { name: "time" } } },
      400,
      'tool_choice names "time", which is not in tools',
    ],
    [{ tools: [{ type: "function", function: { name: 7 } }] }, 400, "tools[0].function.name must be a string"],
    [
      { model: "talker", tools: [chatTool], tool_choice: "required" },
      501,
      'the engine of model "talker" cannot call tools, and tool_choice asks for a call',
      "tool_choice",
    ],
  ])("%j", async (fields, status, message, param = message.split(" ")[0]) => {
    const response = await postChat(url, { model: "caller", messages, ...fields });
    const error: unknown = expect.objectContaining({ message, param });
    expect([response.status, await response.json()]).toEqual([status, { error }]);
    expect(asked).toEqual([]);
  });

  test("nobody who only offers tools to an engine that cannot call them", async () => {
    yields = () => [{ text: "sunny" }];
    const { choices } = await openai.chat.completions.create({ model: "talker", messages, tools: [chatTool] });
    expect(choices[0]).toMatchObject({ message: { content: "sunny" }, finish_reason: "stop" });
  });

  test.each<[string, Delta]>([
    ["a call without a name", { text: "", toolCalls: [{ index: 0 }] }],
    ["a call out of turn", { text: "", toolCalls: [{ index: 1, name: "weather" }] }],
    ["an index that is none", { text: "", toolCalls: [{ index: 0.5, name: "weather" }] }],
    ["half a character", { text: "", toolCalls: [{ index: 0, name: "weather", arguments: "\ud83d" }] }],
  ])("%s of an engine, and its fault stays in the log", async (_name, delta) => {
    yields = () => [delta];
    const response = await postChat(url, { model: "caller", messages, tools: [chatTool] });
    expect([response.status, await response.json()]).toMatchObject([
      500,
      { error: { message: "Internal server error" } },
    ]);
  });

  test("an option that is no capability", async () => {
    const [runtime] = runtimes as [Runtime];
    const capabilities = JSON.parse('["vision"]') as ["tools"];
    await expect(serveModel(runtime, { model: "x", capabilities }, engine)).rejects.toThrow(RuntimeError);
  });
});
