// A conversation with a summary in its place: the model makes it, and the engine sees it in the turns that follow.
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { post } from "./events.ts";
import { startResponder, weather, type Responder } from "./responder.ts";

let at: Responder;
beforeAll(async () => {
  at = await startResponder();
});
afterAll(() => at[Symbol.asyncDispose]());
beforeEach(() => at.reset());

const conversation = [
  { role: "user", content: "one" },
  { role: "assistant", content: "two" },
  { role: "user", content: "three" },
] as const;

test("what the user said stays, and the model's summary comes after it", async () => {
  at.yields = () => [{ text: "they count 😀" }];
  const ask = { model: "caller", input: [...conversation], tools: [weather], tool_choice: "required" };
  const { output, object, usage } = await at.openai.responses.compact(ask);
  expect([object, usage.output_tokens]).toEqual(["response.compaction", 1]);
  expect(output).toMatchObject([
    { type: "message", role: "user", content: [{ type: "input_text", text: "one" }] },
    { type: "message", role: "user", content: [{ type: "input_text", text: "three" }] },
    { type: "compaction", id: expect.stringMatching(/^cmp_/) },
  ]);
  expect(at.asked[0]?.messages.map(({ role }) => role)).toEqual(["user", "assistant", "user", "user"]);
  expect(at.asked[0]?.tools).toBeUndefined();
  const input = [...output, { role: "user", content: "four" }];
  expect((await post(at.url, { model: "caller", input })).status).toBe(200);
  expect(at.asked[1]?.messages.map(({ role, text }) => `${role}: ${text}`)).toEqual([
    "user: one",
    "user: three",
    "user: Summary of the conversation so far:\n\nthey count 😀",
    "user: four",
  ]);
});

test("one of a response that is kept, and none without a model", async () => {
  const { id } = await at.openai.responses.create({ model: "caller", input: "one" });
  const { output } = await at.openai.responses.compact({ model: "caller", input: "two", previous_response_id: id });
  expect(output).toHaveLength(3);
  await expect(at.openai.responses.compact({ input: "x" } as never)).rejects.toMatchObject({
    status: 400,
    param: "model",
  });
});

test("a summary of another server is left out", async () => {
  const input = [
    { type: "compaction", encrypted_content: "gAAAA" },
    { role: "user", content: "one" },
  ];
  expect((await post(at.url, { model: "caller", input })).status).toBe(200);
  expect(at.asked[0]?.messages).toEqual([{ role: "user", text: "one" }]);
});
