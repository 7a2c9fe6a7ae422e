// Scripts, as the official clients see them: what a rule answers, when it is asked, and how an answer goes on at another worker.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { createFrontend } from "@dyn/frontend";
import { startMockWorker, type Fixture, type MockWorker } from "@dyn/mock-worker";
import { createMemorySpace, createRuntime, type Runtime } from "@dyn/runtime";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

const config = { discoveryBackend: "mem", log: "off" } as const;
let runtime: Runtime;
let worker: MockWorker;
let openai: OpenAI;
let anthropic: Anthropic;
let close: () => Promise<void>;

beforeAll(async () => {
  const memorySpace = createMemorySpace();
  worker = await startMockWorker({ config, memorySpace, numWorkers: 2 });
  runtime = await createRuntime({ config, memorySpace });
  const frontend = await createFrontend({ runtime, httpPort: 0, forwardHeaders: ["x-case", "x-aimock-context"] });
  close = () => frontend.close();
  openai = new OpenAI({ baseURL: `${frontend.url}/v1`, apiKey: "unused", maxRetries: 0 });
  anthropic = new Anthropic({ baseURL: frontend.url, apiKey: "unused", maxRetries: 0 });
});
afterAll(async () => {
  await close();
  await runtime.close();
  await worker.close();
});
beforeEach(() => worker.play([]));

interface Body {
  readonly messages?: OpenAI.ChatCompletionMessageParam[];
  readonly tools?: OpenAI.ChatCompletionTool[];
  readonly n?: number;
}

function toBody(content: string, more: Body = {}) {
  return { model: "mock", messages: [{ role: "user" as const, content }], ...more };
}

/** What is answered to the user's words. */
async function ask(content: string, more: Body = {}, headers: Record<string, string> = {}): Promise<string | null> {
  const { choices } = await openai.chat.completions.create(toBody(content, more), { headers });
  return choices[0]?.message.content ?? null;
}

const tool: OpenAI.ChatCompletionTool = {
  type: "function",
  function: { name: "look", parameters: { type: "object" } },
};
const answer = (content: string, match: Fixture["match"] = {}): Fixture => ({ match, response: { content } });

describe("a rule answers", () => {
  test("with a text, whole and streamed, on both APIs", async () => {
    worker.play([answer("forty two", { userMessage: "question" })]);
    const body = toBody("the question");
    expect(await ask("the question")).toBe("forty two");
    const streamed = await openai.chat.completions.stream(body).finalContent();
    expect(streamed).toBe("forty two");
    const message = await anthropic.messages.create({
      model: "mock",
      max_tokens: 9,
      messages: [{ role: "user", content: "question" }],
    });
    expect(message.content).toMatchObject([{ type: "text", text: "forty two" }]);
    expect(await ask("something else")).toBe("something else");
  });

  test("with calls, and with blocks in their order", async () => {
    const blocks = [
      { type: "toolCall", name: "look", arguments: { at: "a" }, id: "call_1" },
      { type: "text", text: "so" },
      { type: "toolCall", name: "look", arguments: '{"at":"b"}' },
    ] as const;
    worker.play([
      { match: { userMessage: "both" }, response: { content: "see", toolCalls: [{ name: "look", arguments: {} }] } },
      { response: { blocks } },
    ]);
    const both = await openai.chat.completions.create(toBody("both", { tools: [tool] }));
    expect(both.choices[0]).toMatchObject({
      finish_reason: "tool_calls",
      message: { content: "see", tool_calls: [{ function: { name: "look", arguments: "{}" } }] },
    });
    const stream = anthropic.messages.stream({
      model: "mock",
      max_tokens: 99,
      messages: [{ role: "user", content: "go" }],
      tools: [{ name: "look", input_schema: { type: "object" } }],
    });
    expect((await stream.finalMessage()).content).toMatchObject([
      { type: "tool_use", input: { at: "a" } },
      { type: "text", text: "so" },
      { type: "tool_use", input: { at: "b" } },
    ]);
  });

  test("with what the model thinks, as both APIs show it", async () => {
    worker.play([
      { match: { userMessage: "short" }, response: { reasoning: "hm", content: "yes" } },
      {
        response: {
          blocks: [
            { type: "reasoning", text: "let me see" },
            { type: "text", text: "no" },
          ],
        },
      },
    ]);
    const { choices, usage } = await openai.chat.completions.create(toBody("short"));
    expect(choices[0]?.message).toMatchObject({ content: "yes", reasoning_content: "hm" });
    expect(usage?.completion_tokens_details?.reasoning_tokens).toBe(1);
    const message = await anthropic.messages.create({
      model: "mock",
      max_tokens: 9,
      messages: [{ role: "user", content: "long" }],
    });
    expect(message.content).toMatchObject([
      { type: "thinking", thinking: "let me see" },
      { type: "text", text: "no" },
    ]);
  });

  test("with an object as JSON, usage and a reason of its own", async () => {
    const usage = { prompt_tokens: 1_000, completion_tokens: 50, prompt_tokens_details: { cached_tokens: 900 } };
    worker.play([{ response: { content: { a: [1] }, usage, finishReason: "length" } }]);
    const { choices, usage: counted } = await openai.chat.completions.create(toBody("x"));
    expect(choices[0]).toMatchObject({ message: { content: '{"a":[1]}' }, finish_reason: "length" });
    expect(counted).toMatchObject({ ...usage, total_tokens: 1_050 });
  });

  test("with an error, its code and when to come again, before or in the middle of an answer", async () => {
    const error = { message: "slow down", code: "tokens_used", param: "messages" };
    worker.play([
      { match: { userMessage: "now" }, response: { error, status: 429, retryAfter: 7 } },
      {
        match: { userMessage: "later" },
        response: {
          blocks: [
            { type: "text", text: "one two" },
            { type: "error", error: { code: "rate_limited" } },
          ],
        },
      },
    ]);
    const refused = await ask("now").catch((thrown: unknown) => thrown);
    expect(refused).toBeInstanceOf(OpenAI.RateLimitError);
    expect(refused).toMatchObject({ status: 429, code: "tokens_used", param: "messages" });
    expect((refused as InstanceType<typeof OpenAI.APIError>).headers?.get("retry-after")).toBe("7");
    const stream = openai.chat.completions.stream(toBody("later"));
    let text = "";
    stream.on("content", (piece) => (text += piece));
    await expect(stream.finalContent()).rejects.toThrow("as the script says: rate_limited");
    expect(text).toBe("one two");
  });
});

describe("a rule is for", () => {
  const messages: OpenAI.ChatCompletionMessageParam[] = [
    { role: "system", content: "You are a pirate. Today is Monday." },
    { role: "user", content: "look around" },
    {
      role: "assistant",
      tool_calls: [{ id: "call_7", type: "function", function: { name: "look", arguments: "{}" } }],
    },
    { role: "tool", tool_call_id: "call_7", content: "a parrot" },
  ];
  const body: Body = { messages, tools: [tool] };
  test.each<[string, Fixture["match"], boolean]>([
    ["a part of what the user says last", { userMessage: "around" }, true],
    ["what an expression finds", { userMessage: { regex: "^LOOK \\w+$", flags: "i" } }, true],
    ["nothing that it does not find", { userMessage: { regex: "^around" } }, false],
    ["what the system says", { systemMessage: ["pirate", "Monday"] }, true],
    ["all that the system says", { systemMessage: ["pirate", "Tuesday"] }, false],
    ["a tool that is there", { toolName: "look" }, true],
    ["a tool that is not", { toolName: "lo" }, false],
    ["the result of a call", { toolCallId: "call_7", toolResultContains: "parrot", hasToolResult: true }, true],
    ["conversations without one", { hasToolResult: false }, false],
    ["a turn", { turnIndex: 1 }, true],
    ["another turn", { turnIndex: 0 }, false],
    ["the model", { model: "mock" }, true],
    ["a part of its name only as an expression", { model: "moc" }, false],
    ["models of an expression", { model: { regex: "^mo" } }, true],
    ["a form", { responseFormat: "text" }, true],
    ["another form", { responseFormat: "json_object" }, false],
    ["a header that goes on to workers", { headers: { "X-Case": "a" }, context: "b" }, true],
    ["the whole of a header", { headers: { "x-case": "" } }, false],
    ["other endpoints", { endpoint: "image" }, false],
  ])("%s", async (_name, match, isFor) => {
    worker.play([answer("met", match)]);
    const said = await ask("", body, { "x-case": "a", "x-aimock-context": "b" });
    expect(said).toBe(isFor ? "met" : "a parrot");
  });

  test("as many requests as it says, and then the next one is", async () => {
    worker.play([{ times: 2, response: { error: { message: "full" }, status: 429, retryAfter: 0 } }, answer("well")]);
    const patient = openai.withOptions({ maxRetries: 3 });
    const { choices } = await patient.chat.completions.create(toBody("x"));
    expect(choices[0]?.message.content).toBe("well");
    worker.play([{ times: 1, response: { content: "first" } }, answer("then")]);
    const several = await openai.chat.completions.create(toBody("x", { n: 3 }));
    expect(several.choices.map(({ message }) => message.content)).toEqual(["first", "first", "first"]);
    expect(await ask("x")).toBe("then");
  });

  test("the n-th of the requests that are like it", async () => {
    const like = { userMessage: "state" };
    worker.play([
      answer("starting", { ...like, sequenceIndex: 0 }),
      answer("running", { ...like, sequenceIndex: 1 }),
      answer("done", like),
    ]);
    const said = [];
    for (const words of ["state", "other", "state", "state", "state"]) said.push(await ask(words));
    expect(said).toEqual(["starting", "other", "running", "done", "done"]);
  });
});

test("what goes wrong by request alone leaves the answer to others", async () => {
  worker.play([
    { match: { headers: { "x-case": "bad" } }, fault: "error:rate_limited" },
    answer("fine", { userMessage: "a" }),
  ]);
  await expect(ask("a", {}, { "x-case": "bad" })).rejects.toBeInstanceOf(OpenAI.RateLimitError);
  expect([await ask("a"), await ask("b", {}, { "x-case": "good" })]).toEqual(["fine", "b"]);
});

test("an answer that is cut once goes on at another worker, token by token", async () => {
  const blocks = [
    { type: "text", text: "one two" },
    { type: "fault", fault: "cut" },
    { type: "text", text: " never" },
  ] as const;
  worker.play([{ times: 1, response: { blocks } }, answer("one two three four")]);
  expect(await ask("x")).toBe("one two three four");
});

test("an answer that is counted once is the same where it goes on", async () => {
  worker.inject([{ type: "cut", afterTokens: 2, rate: 1 }]);
  worker.play([{ times: 1, response: { content: "one two three" } }, answer("other words than before")]);
  const stream = openai.chat.completions.stream(toBody("x"));
  stream.on("content", () => worker.inject([]));
  expect(await stream.finalContent()).toBe("one two three");
});

test("an expression that would never end elsewhere ends, and the worker goes on", async () => {
  worker.play([answer("met", { userMessage: { regex: "^(a+)+$" } })]);
  const words = `${"a".repeat(50_000)}!`;
  expect(await ask(words)).toBe(words);
});
