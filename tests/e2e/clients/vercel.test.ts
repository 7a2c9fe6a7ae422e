// The Vercel AI SDK's own loop and forms, over each of its providers that speak our APIs.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { startFrontend, type StartedFrontend } from "@dyn/mock-worker/testing";
import { embedMany, generateText, Output, stepCountIs, streamText, tool, type LanguageModel } from "ai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { gather } from "./support/gather.ts";

let server: StartedFrontend;
beforeAll(async () => {
  server = await startFrontend();
});
afterAll(() => server.close());

const compatible = () =>
  createOpenAICompatible({ baseURL: server.baseUrl, name: "dyn", includeUsage: true, supportsStructuredOutputs: true });
const openai = () => createOpenAI({ baseURL: server.baseUrl, apiKey: "none" });
const anthropic = () => createAnthropic({ baseURL: server.baseUrl, apiKey: "none" });
const models: readonly (readonly [string, () => LanguageModel])[] = [
  ["openai-compatible", () => compatible()("mock")],
  ["openai.chat", () => openai().chat("mock")],
  ["openai, over responses", () => openai()("mock")],
  ["anthropic", () => anthropic()("mock")],
];

const weather = z.object({ city: z.string(), degrees: z.number().int() });
const instance = { city: "city", degrees: 1 };
const getWeather = tool({
  description: "The weather of a city",
  inputSchema: z.object({ city: z.string() }),
  execute: ({ city }) => `rain in ${city}`,
});
const tools = { getWeather };
const prompt = '/call getWeather {"city":"Oslo"}\n/call getWeather {"city":"Bergen"}';

describe.each(models)("the Vercel AI SDK with %s", (_name, toModel) => {
  const ask = () => ({ model: toModel(), maxRetries: 0, timeout: 20_000 });

  test("gets a text, and streams one", async () => {
    expect((await generateText({ ...ask(), prompt: "hello" })).text).toBe("hello");
    const { textStream, usage } = streamText({ ...ask(), prompt: "one two" });
    expect(await gather(textStream)).toEqual(["one", " two"]);
    expect(await usage).toMatchObject({ inputTokens: 2, outputTokens: 2 });
  });

  test("runs tools until there is a text", async () => {
    const { text, steps } = await generateText({ ...ask(), prompt, tools, stopWhen: stepCountIs(5) });
    expect(steps.flatMap(({ toolResults }) => toolResults.map(({ output }) => output))).toEqual([
      "rain in Oslo",
      "rain in Bergen",
    ]);
    expect(text).toBe("rain in Bergen");
  });

  test("runs tools of a stream", async () => {
    const { fullStream } = streamText({ ...ask(), prompt, tools, stopWhen: stepCountIs(5) });
    const parts = await gather(fullStream);
    expect(parts.flatMap((part) => (part.type === "tool-result" ? [part.output] : []))).toEqual([
      "rain in Oslo",
      "rain in Bergen",
    ]);
    expect(parts.filter(({ type }) => type === "error")).toEqual([]);
  });

  test("is given the call that it must get", async () => {
    for (const toolChoice of ["required", { type: "tool", toolName: "getWeather" }] as const) {
      const { toolCalls } = await generateText({ ...ask(), prompt: "x", tools, toolChoice });
      expect(toolCalls).toMatchObject([{ toolName: "getWeather", input: { city: "city" } }]);
    }
  });

  test("gets an object, and streams one", async () => {
    const output = Output.object({ schema: weather });
    expect((await generateText({ ...ask(), prompt: "x", output })).output).toEqual(instance);
    expect(await streamText({ ...ask(), prompt: "x", output }).output).toEqual(instance);
  });

  test("gets an object after the tools", async () => {
    const output = Output.object({ schema: weather });
    const result = await generateText({ ...ask(), prompt, tools, output, stopWhen: stepCountIs(5) });
    expect(result.output).toEqual(instance);
  });

  test("gets a list, and a choice", async () => {
    expect((await generateText({ ...ask(), prompt: "x", output: Output.array({ element: weather }) })).output).toEqual([
      instance,
    ]);
    const output = Output.choice({ options: ["rain", "snow"] });
    expect((await generateText({ ...ask(), prompt: "x", output })).output).toBe("rain");
  });
});

test.each([
  ["openai-compatible", () => compatible().embeddingModel("mock")],
  ["openai", () => openai().embedding("mock")],
])("the Vercel AI SDK with %s embeds", async (_name, toModel) => {
  const { embeddings } = await embedMany({ model: toModel(), values: ["hello", "hello", "bye"], maxRetries: 0 });
  expect(embeddings[0]).toEqual(embeddings[1]);
  expect(embeddings[0]).not.toEqual(embeddings[2]);
});
