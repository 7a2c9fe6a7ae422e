// Responses under the frameworks that ask for them by default: the Vercel AI SDK names earlier items by their ids, LangChain sends nulls.
import { createOpenAI } from "@ai-sdk/openai";
import { ChatOpenAI } from "@langchain/openai";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as z from "zod";
import { startResponder, type Responder } from "./responder.ts";

const prompt = "what is the weather?";
let at: Responder;
beforeAll(async () => {
  at = await startResponder();
});
afterAll(() => at[Symbol.asyncDispose]());

const tools = {
  weather: tool({
    description: "of today",
    inputSchema: z.object({ city: z.string() }),
    execute: ({ city }) => `rain in ${city}`,
  }),
};

test("the Vercel AI SDK goes through a tool to a text, whole and streamed, whether responses are kept or not", async () => {
  const openai = createOpenAI({ baseURL: `${at.url}/v1`, apiKey: "unused" });
  for (const store of [true, false]) {
    const ask = {
      model: openai("mock"),
      prompt,
      tools,
      stopWhen: stepCountIs(3),
      providerOptions: { openai: { store } },
      maxRetries: 0,
    };
    const { text, steps } = await generateText(ask);
    expect([text, steps.length]).toEqual(["rain in city", 2]);
    expect(await streamText(ask).text).toBe("rain in city");
  }
});

test("and gets objects of its schema", async () => {
  const openai = createOpenAI({ baseURL: `${at.url}/v1`, apiKey: "unused" });
  const output = Output.object({ schema: z.object({ name: z.string(), age: z.int() }) });
  const result = await generateText({ model: openai("mock"), prompt: "a person", output, maxRetries: 0 });
  expect(result.output).toEqual({ name: expect.any(String), age: expect.any(Number) });
});

test("LangChain asks, binds tools and streams", async () => {
  const configuration = { baseURL: `${at.url}/v1` };
  const model = new ChatOpenAI({
    model: "mock",
    apiKey: "unused",
    useResponsesApi: true,
    maxRetries: 0,
    configuration,
  });
  expect((await model.invoke("hello big world")).text).toBe("hello big world");
  let streamed = "";
  for await (const chunk of await model.stream("hello big world")) streamed += chunk.text;
  expect(streamed).toBe("hello big world");
  const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
  const bound = model.bindTools([{ type: "function", function: { name: "weather", parameters: schema } }]);
  expect((await bound.invoke(prompt)).tool_calls).toMatchObject([{ name: "weather", args: { city: "city" } }]);
});
