// The helpers of the official clients: runners of tools, forms, streams that gather themselves.
import Anthropic from "@anthropic-ai/sdk";
import { betaZodTool } from "@anthropic-ai/sdk/helpers/beta/zod";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { startFrontend, type StartedFrontend } from "@dyn/mock-worker/testing";
import OpenAI from "openai";
import { zodFunction, zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";

let server: StartedFrontend;
beforeAll(async () => {
  server = await startFrontend();
});
afterAll(() => server.close());

const weather = z.object({ city: z.string(), degrees: z.number() });
const instance = { city: "city", degrees: 1 };
const orders = '/call get_weather {"city":"Oslo"}\n/call get_weather {"city":"Bergen"}';
const user = (content: string) => [{ role: "user" as const, content }];

describe("openai's client", () => {
  const open = () => new OpenAI({ baseURL: server.baseUrl, apiKey: "none", maxRetries: 0 });
  const toTool = (asked: string[]) =>
    zodFunction({
      name: "get_weather",
      parameters: z.object({ city: z.string() }),
      function: ({ city }) => {
        asked.push(city);
        return `rain in ${city}`;
      },
    });

  test.each([false, true])("runs tools until there is a text, streamed: %s", async (isStreamed) => {
    const asked: string[] = [];
    const ask = { model: "mock", messages: user(orders), tools: [toTool(asked)] };
    const { completions } = open().chat;
    const runner = isStreamed ? completions.runTools({ ...ask, stream: true }) : completions.runTools(ask);
    expect(await runner.finalContent()).toBe("rain in Bergen");
    expect(asked).toEqual(["Oslo", "Bergen"]);
  });

  test("reads a form, also of a stream", async () => {
    const ask = { model: "mock", messages: user("x"), response_format: zodResponseFormat(weather, "weather") };
    const { completions } = open().chat;
    expect((await completions.parse(ask)).choices[0]?.message.parsed).toEqual(instance);
    const streamed = await completions.stream(ask).finalChatCompletion();
    expect(streamed.choices[0]?.message.parsed).toEqual(instance);
  });
});

test("openai's client reads a form over responses, and gathers a stream", async () => {
  const { responses } = new OpenAI({ baseURL: server.baseUrl, apiKey: "none", maxRetries: 0 });
  const parsed = await responses.parse({
    model: "mock",
    input: "x",
    text: { format: zodTextFormat(weather, "weather") },
  });
  expect(parsed.output_parsed).toEqual(instance);
  expect((await responses.stream({ model: "mock", input: "one two" }).finalResponse()).output_text).toBe("one two");
});

describe("Anthropic's client", () => {
  const open = () => new Anthropic({ baseURL: server.url, apiKey: "none", maxRetries: 0 });
  const toTool = (asked: string[]) =>
    betaZodTool({
      name: "get_weather",
      description: "The weather of a city",
      inputSchema: z.object({ city: z.string() }),
      run: ({ city }) => {
        asked.push(city);
        return `rain in ${city}`;
      },
    });

  test("runs tools until there is a text", async () => {
    const asked: string[] = [];
    const { content } = await open().beta.messages.toolRunner({
      model: "mock",
      max_tokens: 1_000,
      messages: user(orders),
      tools: [toTool(asked)],
    });
    expect(content).toMatchObject([{ type: "text", text: "rain in Bergen" }]);
    expect(asked).toEqual(["Oslo", "Bergen"]);
  });

  test("reads a form, and gathers a stream", async () => {
    const ask = { model: "mock", max_tokens: 1_000, messages: user("one two") };
    const parsed = await open().messages.parse({ ...ask, output_config: { format: zodOutputFormat(weather) } });
    expect(parsed.parsed_output).toEqual(instance);
    expect(await open().messages.stream(ask).finalText()).toBe("one two");
  });
});
