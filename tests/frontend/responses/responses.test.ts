// Responses as the official client sees them: whole, streamed and parsed, tools of all kinds, and every event of a stream.
import type OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { RuntimeError } from "@dyn/runtime";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import * as z from "zod";
import { calls, neutral } from "../weather.ts";
import { post, readEvents, type ServerEvent } from "./events.ts";
import { startResponder, weather, type Responder } from "./responder.ts";

let at: Responder;
beforeAll(async () => {
  at = await startResponder();
});
afterAll(() => at[Symbol.asyncDispose]());
beforeEach(() => at.reset());

async function stream(body: object): Promise<readonly ServerEvent[]> {
  return readEvents(await post(at.url, { ...body, stream: true }));
}

describe("OpenAI's client reads", () => {
  test("a text, whole and streamed", async () => {
    const whole = await at.openai.responses.create({ model: "caller", input: "hi", instructions: "be kind" });
    expect(whole).toMatchObject({ status: "completed", output_text: "hello world", error: null });
    expect(whole.usage).toMatchObject({ output_tokens: 2, total_tokens: (whole.usage?.input_tokens ?? 0) + 2 });
    expect(at.asked[0]?.messages).toEqual([
      { role: "system", text: "be kind" },
      { role: "user", text: "hi" },
    ]);
    const final = await at.openai.responses.stream({ model: "caller", input: "hi" }).finalResponse();
    expect(final).toMatchObject({ status: "completed", output_text: "hello world" });
    expect(Object.keys(final)).toEqual(expect.arrayContaining(Object.keys(whole)));
  });

  test("calls of functions after a text", async () => {
    at.yields = () => calls;
    const ask = { model: "caller", input: "what is the weather?", tools: [weather] };
    const whole = await at.openai.responses.create(ask);
    expect(whole.output).toMatchObject(weatherItems);
    expect(at.asked[0]?.tools).toEqual([{ ...neutral, strict: true }]);
    const final = await at.openai.responses.stream(ask).finalResponse();
    expect(final.output).toMatchObject(weatherItems);
  });

  test("an answer in the form that it asked for", async () => {
    const format = zodTextFormat(z.object({ name: z.string(), age: z.int() }), "person");
    const whole = await at.openai.responses.parse({ model: "mock", input: "a person", text: { format } });
    expect(whole.output_parsed).toEqual({ name: expect.any(String), age: expect.any(Number) });
    const final = await at.openai.responses
      .stream({ model: "mock", input: "a person", text: { format } })
      .finalResponse();
    expect(final.output_parsed).toEqual(whole.output_parsed);
    await at.openai.responses.create({ model: "caller", input: "a person", text: { format } });
    expect(at.asked[0]?.responseFormat).toEqual({ name: "person", schema: format.schema, strict: true });
  });

  test("what a mock makes of a loop with a tool", async () => {
    const tools = [{ ...weather, strict: false }];
    const first = await at.openai.responses.create({ model: "mock", input: "what is the weather?", tools });
    const [call] = first.output;
    if (call?.type !== "function_call") throw new Error("it has not called");
    const output = { type: "function_call_output", call_id: call.call_id, output: "rain" } as const;
    const input: OpenAI.Responses.ResponseInput = [{ role: "user", content: "what is the weather?" }, call, output];
    const second = await at.openai.responses.create({ model: "mock", input, tools });
    expect(second.output_text).toBe("rain");
  });
});

const weatherItems = [
  { type: "message", status: "completed", content: [{ type: "output_text", text: "let me see" }] },
  { type: "function_call", status: "completed", call_id: "call_1", name: "weather", arguments: '{"city":"Lyon 😀"}' },
  { type: "function_call", status: "completed", call_id: "call_2", name: "weather", arguments: '{"city":"Köln"}' },
];

describe("a stream has", () => {
  test("every event in its place, each with its number", async () => {
    at.yields = () => [
      { text: "so" },
      { text: "", toolCalls: [{ index: 0, name: "patch", kind: "custom", id: "call_1", arguments: "a" }] },
      { text: "", toolCalls: [{ index: 0, arguments: "b" }] },
      { text: "", toolCalls: [{ index: 1, name: "weather", id: "call_2", arguments: "{}" }] },
    ];
    const events = await stream({ model: "caller", input: "x", tools: [weather, { type: "custom", name: "patch" }] });
    expect(events.map(({ data }) => data["sequence_number"])).toEqual(events.map((_, index) => index));
    expect(events.every(({ event, data }) => data["type"] === event)).toBe(true);
    const places = events.map(({ event, data }) =>
      [event.replace("response.", ""), data["output_index"]].join(" ").trim(),
    );
    expect(places).toEqual([
      "created",
      "in_progress",
      "output_item.added 0",
      "content_part.added 0",
      "output_text.delta 0",
      "output_text.done 0",
      "content_part.done 0",
      "output_item.done 0",
      "output_item.added 1",
      "custom_tool_call_input.delta 1",
      "custom_tool_call_input.delta 1",
      "custom_tool_call_input.done 1",
      "output_item.done 1",
      "output_item.added 2",
      "function_call_arguments.delta 2",
      "function_call_arguments.done 2",
      "output_item.done 2",
      "completed",
    ]);
    expect(events[11]?.data).toMatchObject({ input: "ab", item_id: expect.stringMatching(/^ctc_/) });
    expect(events[15]?.data).toMatchObject({ name: "weather", arguments: "{}" });
    const done = events.filter(({ event }) => event === "response.output_item.done").map(({ data }) => data["item"]);
    expect(events.at(-1)?.data["response"]).toMatchObject({ status: "completed", output: done });
  });

  test("a message though nothing was said", async () => {
    at.yields = () => [];
    const events = await stream({ model: "caller", input: "x" });
    expect(events.at(-1)?.data["response"]).toMatchObject({ output: [{ type: "message", content: [{ text: "" }] }] });
  });

  test("the reason why it is incomplete, and so has a whole answer", async () => {
    at.yields = () => [{ text: "cut", finishReason: "length" }];
    const cut = { status: "incomplete", incomplete_details: { reason: "max_output_tokens" }, completed_at: null };
    const [last] = (await stream({ model: "caller", input: "x", max_output_tokens: 1 })).slice(-1);
    expect(last).toMatchObject({
      event: "response.incomplete",
      data: { response: { ...cut, output: [{ status: "incomplete" }] } },
    });
    expect(await at.openai.responses.create({ model: "caller", input: "x" })).toMatchObject({
      ...cut,
      output: [{ status: "incomplete" }],
    });
    expect(at.asked[0]?.maxTokens).toBe(1);
  });

  test("the failure at its end, in words of the engine, with what had been said", async () => {
    at.failure = new RuntimeError("invalid_argument", "too long", { apiCode: "context_length_exceeded" });
    const [last] = (await stream({ model: "caller", input: "x" })).slice(-1);
    expect(last).toMatchObject({
      event: "response.failed",
      data: {
        response: {
          status: "failed",
          error: { code: "context_length_exceeded", message: "too long" },
          output: [{ status: "incomplete", content: [{ text: "hello world" }] }],
        },
      },
    });
  });

  test("no event of a request that fails before its first token", async () => {
    at.yields = () => [];
    at.failure = new RuntimeError("overloaded", "busy");
    const response = await post(at.url, { model: "caller", input: "x", stream: true });
    expect([response.status, await response.json()]).toMatchObject([529, { error: { message: "busy" } }]);
  });

  test("one whole answer of two workers", async () => {
    at.yields = (_, attempt) => (attempt === 0 ? calls.slice(0, 3) : calls.slice(3));
    const events = await stream({ model: "lost", input: "x", tools: [weather] });
    expect(events.at(-1)?.data["response"]).toMatchObject({ status: "completed", output: weatherItems });
  });
});
