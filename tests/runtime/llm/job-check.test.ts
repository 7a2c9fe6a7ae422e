// Jobs that no frontend sends: an engine never sees them.
import { expect, test } from "vitest";
import type { ModelJob } from "../../../packages/runtime/src/llm/contract.ts";
import { checkJob } from "../../../packages/runtime/src/llm/job-check.ts";

const call = { id: "call_1", name: "f", kind: "function", arguments: "{}" };
const messages = "a list of maps with role and text";
const good: Record<string, unknown> = {
  model: "m",
  messages: [
    { role: "user", text: "hi", name: "ada", parts: [{ kind: "image", data: "AAAA" }] },
    { role: "assistant", text: "", toolCalls: [call], reasoning: "hm" },
    { role: "tool", text: "sunny", toolCallId: "call_1" },
  ],
  toolChoice: { mode: "auto", allowed: ["f"] },
  parallelToolCalls: false,
  stop: ["x"],
  sampling: { seed: 1, topP: null },
  maxTokens: 0,
  n: 2,
  prompts: [{ text: "1", tokenIds: [1] }, { text: "two" }],
  tools: [],
  begun: [{ text: "a", tokens: 1, isFinished: true }],
  prefill: { results: [1], spanId: null },
};
const check = (job: unknown, role: "aggregated" | "decode" = "aggregated"): unknown => checkJob(job as ModelJob, role);

test("a job as frontends send it passes, with all its fields and with the least", () => {
  expect(check(good, "decode")).toBe(good);
  const least = { messages: [], stop: [], sampling: {} };
  expect(check(least)).toBe(least);
});

test.each<[string, unknown, string]>([
  ["model", 7, "a string"],
  ["messages", undefined, "a list of maps with role and text"],
  ["messages", [null], "a list of maps with role and text"],
  ["messages", [{ role: "user" }], "a list of maps with role and text"],
  ["messages", [{ role: "user", text: "hi", parts: {} }], messages],
  ["messages", [{ role: "user", text: "hi", parts: [{ text: "hi" }] }], messages],
  ["messages", [{ role: "assistant", text: "", toolCalls: [{ name: "f" }] }], messages],
  ["messages", [{ role: "assistant", text: "", toolCalls: 7 }], messages],
  ["messages", [{ role: "assistant", text: "", toolCalls: null }], messages],
  ["messages", [{ role: "tool", text: "", toolCallId: 7 }], messages],
  ["messages", [{ role: "assistant", text: "", reasoning: 7 }], messages],
  ["messages", [{ role: "user", text: "", name: {} }], messages],
  ["toolChoice", { mode: "named", name: 7 }, "a map with mode"],
  ["toolChoice", { mode: "auto", allowed: "f" }, "a map with mode"],
  ["parallelToolCalls", "no", "true or false"],
  ["begun", [{ text: "a", tokens: 1, tokenIds: ["1"] }], "a list of maps with text and tokens"],
  ["stop", [7], "a list of strings, at most 1024"],
  ["stop", Array.from({ length: 1_025 }, () => "x"), "a list of strings, at most 1024"],
  ["stop", null, "a list of strings, at most 1024"],
  ["sampling", { seed: "1" }, "a map of numbers, the seed a whole one"],
  ["sampling", { seed: 1.5 }, "a map of numbers, the seed a whole one"],
  ["sampling", [], "a map of numbers, the seed a whole one"],
  ["maxTokens", -1, "a whole number"],
  ["maxTokens", null, "a whole number"],
  ["maxTokens", Number.NaN, "a whole number"],
  ["prompt", "text", "a map with text"],
  ["prompts", [{ text: "1", tokenIds: ["1"] }], "a list of maps with text"],
  ["tools", {}, "a list"],
  ["begun", [{ text: "a" }], "a list of maps with text and tokens"],
  ["begun", {}, "a list of maps with text and tokens"],
  ["prefill", {}, "a map with results"],
  ["prefill", { results: [], spanId: 7 }, "a map with results"],
])("%s of %j is refused by its name", (name, value, words) => {
  expect(() => check({ ...good, [name]: value })).toThrow(`${name} of the request must be ${words}`);
});

test("only a seed may be a bigint", () => {
  expect(() => check({ ...good, sampling: { seed: 2n ** 63n - 1n } })).not.toThrow();
  expect(() => check({ ...good, sampling: { topK: 1n } })).toThrow("sampling of the request must be a map of numbers");
});

test.each([0, -1, 1.5, 513, "2", null])("%j choices for each of two prompts are refused", (n) => {
  expect(() => check({ ...good, n })).toThrow("request must have 1 to 1024 choices");
});

test("what is no map, and a decode job without a prefill, are refused", () => {
  for (const job of [null, [], "job", 1]) expect(() => check(job)).toThrow("request must be a map");
  expect(() => check({ ...good, prefill: undefined }, "decode")).toThrow(
    "a decode worker needs the list prefill.results",
  );
});
