// LangChain's tools and forms, over both APIs.
import { ChatAnthropic } from "@langchain/anthropic";
import { HumanMessage, ToolMessage, type AIMessageChunk } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { startFrontend, type StartedFrontend } from "@dyn/mock-worker/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { gather } from "./support/gather.ts";

let server: StartedFrontend;
beforeAll(async () => {
  server = await startFrontend();
});
afterAll(() => server.close());

const toOpenAi = (useResponsesApi: boolean) =>
  new ChatOpenAI({
    useResponsesApi,
    model: "mock",
    apiKey: "none",
    maxRetries: 0,
    timeout: 20_000,
    configuration: { baseURL: server.baseUrl },
  });
const toAnthropic = () =>
  new ChatAnthropic({
    model: "mock",
    apiKey: "none",
    maxRetries: 0,
    maxTokens: 1_000,
    anthropicApiUrl: server.url,
  });
const models: readonly (readonly [string, () => ChatOpenAI | ChatAnthropic])[] = [
  ["ChatOpenAI", () => toOpenAi(false)],
  ["ChatOpenAI, over responses", () => toOpenAi(true)],
  ["ChatAnthropic", toAnthropic],
];

const weather = z.object({ city: z.string(), degrees: z.number() });
const instance = { city: "city", degrees: 1 };
const getWeather = tool(({ city }: { city: string }) => `rain in ${city}`, {
  name: "get_weather",
  description: "The weather of a city",
  schema: z.object({ city: z.string() }),
});

describe.each(models)("LangChain's %s", (_name, toModel) => {
  test("gets a text, and streams one", async () => {
    expect((await toModel().invoke("hello")).text).toBe("hello");
    const chunks = await gather(await toModel().stream("one two"));
    expect(chunks.map(({ text }) => text).join("")).toBe("one two");
  });

  test("calls a tool, and gives its result back", async () => {
    const model = toModel().bindTools([getWeather]);
    const ask = new HumanMessage('/call get_weather {"city":"Oslo"}');
    const called = await model.invoke([ask]);
    const [call] = called.tool_calls ?? [];
    expect(call).toMatchObject({ name: "get_weather", args: { city: "Oslo" } });
    const result = new ToolMessage({ content: "rain in Oslo", tool_call_id: call?.id ?? "" });
    expect((await model.invoke([ask, called, result])).text).toBe("rain in Oslo");
  });

  test("puts a streamed call together", async () => {
    let whole: AIMessageChunk | undefined;
    for await (const chunk of await toModel().bindTools([getWeather]).stream('/call get_weather {"city":"Oslo"}'))
      whole = whole ? whole.concat(chunk) : chunk;
    expect(whole?.tool_calls).toMatchObject([{ name: "get_weather", args: { city: "Oslo" } }]);
  });

  test.each(["functionCalling", "jsonSchema"] as const)("gets an object by %s", async (method) => {
    expect(await toModel().withStructuredOutput(weather, { method, name: "weather" }).invoke("x")).toEqual(instance);
  });
});

test("LangChain's OpenAIEmbeddings embeds", async () => {
  const embeddings = new OpenAIEmbeddings({
    model: "mock",
    apiKey: "none",
    maxRetries: 0,
    configuration: { baseURL: server.baseUrl },
  });
  const [one, other] = await embeddings.embedDocuments(["hello", "hello"]);
  expect(one).toHaveLength(384);
  expect(one).toEqual(other);
});
