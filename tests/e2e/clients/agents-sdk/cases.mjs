// OpenAI's Agents SDK: cases.mjs HOME URL. Writes one JSON object per case, {"case", "problem"}, to standard output.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const [home = "", url = ""] = process.argv.slice(2);
const load = createRequire(join(home, "cases.cjs"));
const { Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, run, setTracingDisabled, tool } =
  load("@openai/agents");
const OpenAI = load("openai");
const { z } = load("zod");

setTracingDisabled(true);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0, timeout: 20_000 });
const models = {
  chat: new OpenAIChatCompletionsModel(client, "mock"),
  responses: new OpenAIResponsesModel(client, "mock"),
};
const getWeather = tool({
  name: "get_weather",
  description: "The weather of a city",
  parameters: z.object({ city: z.string() }),
  execute: ({ city }) => `rain in ${city}`,
});
const weather = z.object({ city: z.string(), degrees: z.number() });
const prompt = '/call get_weather {"city":"Oslo"}';

const toCases = (model) => {
  const ask = async (prompt, options = {}) => run(new Agent({ name: "helper", model, ...options }), prompt);
  return {
    async text() {
      assert.equal((await ask("hello", { instructions: "Be brief." })).finalOutput, "hello");
    },
    async stream() {
      const result = await run(new Agent({ name: "helper", model }), "one two", { stream: true });
      const pieces = await Array.fromAsync(result.toTextStream());
      await result.completed;
      assert.deepEqual(pieces, ["one", " two"]);
      assert.equal(result.finalOutput, "one two");
    },
    async toolRoundTrip() {
      assert.equal((await ask(prompt, { tools: [getWeather] })).finalOutput, "rain in Oslo");
    },
    async streamedToolRoundTrip() {
      const result = await run(new Agent({ name: "helper", model, tools: [getWeather] }), prompt, { stream: true });
      await result.completed;
      assert.equal(result.finalOutput, "rain in Oslo");
    },
    async structured() {
      assert.deepEqual((await ask("x", { outputType: weather })).finalOutput, { city: "city", degrees: 1 });
    },
    async handoff() {
      const other = new Agent({ name: "other", model });
      assert.equal((await ask("/call transfer_to_other {}", { handoffs: [other] })).lastAgent?.name, "other");
    },
  };
};

for (const [api, model] of Object.entries(models))
  for (const [name, check] of Object.entries(toCases(model))) {
    const problem = await check().then(
      () => null,
      (error) => String(error?.stack ?? error),
    );
    process.stdout.write(`${JSON.stringify({ case: `${name} over ${api}`, problem })}\n`);
  }
