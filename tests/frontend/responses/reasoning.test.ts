// What a model thinks, as items of a response: whole and streamed, and back at the engine in the next turn.
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { post, readEvents } from "./events.ts";
import { startResponder, weather, type Responder } from "./responder.ts";

let at: Responder;
beforeAll(async () => {
  at = await startResponder();
});
afterAll(() => at[Symbol.asyncDispose]());
beforeEach(() => {
  at.reset();
  at.yields = () => [
    { text: "", reasoning: "let me " },
    { text: "so", reasoning: "think" },
    { text: "", toolCalls: [{ index: 0, name: "weather", id: "call_1", arguments: "{}" }] },
  ];
});

const thought = { type: "reasoning", summary: [{ type: "summary_text", text: "let me think" }] };
const output = [thought, { type: "message", content: [{ text: "so" }] }, { type: "function_call", call_id: "call_1" }];

test("it is an item before the message, whole and streamed, and its tokens are counted", async () => {
  const ask = { model: "caller", input: "x", tools: [weather], reasoning: { effort: "low" as const } };
  const whole = await at.openai.responses.create(ask);
  expect(whole).toMatchObject({ output, reasoning: { effort: "low", summary: null } });
  expect(whole.usage?.output_tokens_details.reasoning_tokens).toBeGreaterThan(0);
  expect(at.asked[0]?.reasoning).toEqual({ isEnabled: true, effort: "low" });
  expect((await at.openai.responses.stream(ask).finalResponse()).output).toMatchObject(output);
});

test("a stream has its events before those of the message", async () => {
  const events = await readEvents(await post(at.url, { model: "caller", input: "x", stream: true }));
  expect(
    events.slice(2, 11).map(({ event, data }) => [event.replace("response.", ""), data["delta"]].join(" ").trim()),
  ).toEqual([
    "output_item.added",
    "reasoning_summary_part.added",
    "reasoning_summary_text.delta let me",
    "reasoning_summary_text.delta think",
    "reasoning_summary_text.done",
    "reasoning_summary_part.done",
    "output_item.done",
    "output_item.added",
    "content_part.added",
  ]);
  expect(events[6]?.data).toMatchObject({ text: "let me think", summary_index: 0, output_index: 0 });
});

test("the engine sees it again, sent back or kept", async () => {
  const first = await at.openai.responses.create({ model: "caller", input: "x", tools: [weather] });
  const result = { type: "function_call_output", call_id: "call_1", output: "rain" } as const;
  const input = [{ role: "user", content: "x" } as const, ...first.output, result];
  await post(at.url, { model: "caller", input });
  await post(at.url, { model: "caller", input: [result], previous_response_id: first.id });
  const seen = at.asked.slice(1).map(({ messages }) => messages);
  const assistant = { role: "assistant", text: "so", reasoning: "let me think", toolCalls: [{ id: "call_1" }] };
  for (const messages of seen) expect(messages).toMatchObject([{ role: "user" }, assistant, { role: "tool" }]);
});
