// What is kept of an answer, and how much of it.
import { expect, test } from "vitest";
import { countJsonBytes } from "../../packages/frontend/src/http/json-size.ts";
import { createCompletionStream } from "../../packages/frontend/src/openai/completions-format.ts";
import { parseCompletionRequest } from "../../packages/frontend/src/openai/completions-schema.ts";
import { Transcript } from "../../packages/frontend/src/inference/transcript.ts";
import { createMemoryBudget } from "../../packages/runtime/src/memory-budget.ts";
import { createRuntimeMetrics } from "../../packages/runtime/src/metrics/runtime-metrics.ts";
import type { Delta, ModelJob } from "../../packages/runtime/src/llm/contract.ts";

const job: ModelJob = { model: "m", messages: [], stop: [], sampling: {}, maxTokens: 4, n: 2 };
const memory = { take: (): void => undefined, release: (): void => undefined };
const keeping = { texts: true, tokenIds: true, maxBytes: 1_000, memory, isNeeded: true };
const ids = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const end = { text: "", finishReason: "stop", usage: { promptTokens: 1, completionTokens: 1 } } as const;
const limits = { maxMessages: 1, maxCompletions: 8, maxEchoBytes: 24 };

test("a text in many pieces is whole, also in the middle and across choices", () => {
  const words = Array.from({ length: 600 }, (_, index) => `${index} `);
  const transcript = new Transcript({ ...job, maxTokens: 600 }, { ...keeping, maxBytes: 10_000 });
  const add = (text: string): number => transcript.add([{ text }, { text: text.toUpperCase(), choice: 1 }]);
  for (const word of words.slice(0, 300)) add(word);
  expect(transcript.begun()?.[0]?.text).toBe(words.slice(0, 300).join(""));
  for (const word of words.slice(300)) add(word);
  transcript.add([end, { ...end, choice: 1 }]);
  expect(transcript.finish().choices.map(({ text }) => text)).toEqual([words.join(""), words.join("")]);
});

test("a choice may have 256 tokens more than max_tokens, and not one more", () => {
  const transcript = new Transcript(job, { texts: false, tokenIds: false, maxBytes: 1, memory, isNeeded: true });
  expect(transcript.add([{ text: "a", tokenIds: ids(260) }])).toBe(260);
  expect(transcript.add([{ text: "a", tokenIds: ids(260), choice: 1 }])).toBe(260);
  expect(() => transcript.add([{ text: "a", choice: 1 }])).toThrow(
    "the worker sent 261 tokens for choice 1, max_tokens is 4",
  );
});

test.each<[string, Delta, number]>([
  ["a text", { text: "x".repeat(100) }, 10],
  ["a text that JSON writes six times as long", { text: "\u0001".repeat(10) }, 16],
  ["ids of tokens", { text: "", tokenIds: ids(25) }, 5],
  ["a stop text", { ...end, stopText: "x".repeat(200) }, 5],
])("all that is kept counts for the limit: %s", (_name, delta, fitting) => {
  const transcript = new Transcript({ ...job, maxTokens: 1_000 }, keeping);
  for (let index = 0; index < fitting; index += 1) transcript.add([{ ...delta, choice: index % 2 }]);
  expect(() => transcript.add([delta])).toThrow(
    "the worker's answer is larger than 1000 bytes, the limit set by DYN_HTTP_ANSWER_LIMIT_MB",
  );
});

test("a text that is not kept has no limit", () => {
  const transcript = new Transcript(
    { ...job, maxTokens: 1_000 },
    { texts: false, tokenIds: false, maxBytes: 1, memory, isNeeded: true },
  );
  expect(transcript.add([{ text: "x".repeat(100) }])).toBe(1);
});

test("what is kept is taken from the memory for requests, twice its bytes", () => {
  let taken = 0;
  const transcript = new Transcript(job, { ...keeping, memory: { ...memory, take: (bytes) => (taken += bytes) } });
  expect(taken).toBe(1_024); // two choices
  transcript.add([{ text: "abc" }, { text: "\u0001", choice: 1, tokenIds: [1] }]);
  expect(taken).toBe(1_024 + 2 * (3 + 6 + 8));
});

test("without memory for it, a text that is wanted fails, and one that is kept for another worker is given up", () => {
  const budget = createMemoryBudget(1 * 1024 * 1024, createRuntimeMetrics().memory);
  for (const isNeeded of [true, false]) {
    using share = budget.open();
    const transcript = new Transcript(
      { ...job, n: 1, maxTokens: 1_000 },
      { ...keeping, maxBytes: 10 * 1024 * 1024, memory: share, isNeeded },
    );
    for (let sent = 0; sent < 5; sent += 1) transcript.add([{ text: "x".repeat(100_000), tokenIds: ids(1) }]);
    expect(transcript.begun()?.[0]?.text).toHaveLength(500_000);
    const add = (): number => transcript.add([{ text: "x".repeat(100_000) }, end]);
    if (isNeeded) expect(add).toThrow(expect.objectContaining({ code: "overloaded" }));
    else {
      expect(add()).toBe(1);
      expect(transcript.begun()).toBeUndefined();
      expect(transcript.finish().usage).toEqual(end.usage);
      expect(share.bytes).toBe(512);
    }
  }
  expect(budget.usedBytes).toBe(0);
});

test("bytes of a text are those that JSON has for it", () => {
  for (const text of ["", "abc", '"\\\n\u0000', "ä€\u{1f600}", "x\n".repeat(100_000)])
    expect(countJsonBytes(text, Infinity)).toBe(Buffer.byteLength(JSON.stringify(text)) - 2);
  expect(countJsonBytes("x".repeat(1_000_000), 10)).toBeLessThan(100_000);
});

test("echo repeats prompts up to the limit, as JSON has them", () => {
  const parse = (prompt: string | string[], n: number): unknown =>
    parseCompletionRequest({ model: "m", prompt, n, echo: true }, limits);
  expect(parse("x".repeat(12), 2)).toMatchObject({ echoes: ["x".repeat(12), "x".repeat(12)] });
  expect(parse(["x".repeat(19), "y\n\n"], 1)).toMatchObject({ echoes: ["x".repeat(19), "y\n\n"] });
  expect(() => parse(["x".repeat(19), "y\n\n"], 2)).toThrow(
    "echo is too large: the prompts before 4 choices are 48 bytes, the limit is 24, set by DYN_HTTP_ANSWER_LIMIT_MB",
  );
  expect(parseCompletionRequest({ model: "m", prompt: "x".repeat(25), n: 8 }, limits).echoes).toEqual(
    Array.from({ length: 8 }, () => ""),
  );
});

test("a stream has the echo of each choice as an event of its own, before all others", () => {
  const request = parseCompletionRequest({ model: "m", prompt: ["one", "", "two"], echo: true, stream: true }, limits);
  const events = [...(createCompletionStream(request, { requestId: "r", created: 0, now: () => 0 }).opening ?? [])];
  const texts = events.map((event) => (JSON.parse(event.slice("data: ".length)) as { choices: unknown[] }).choices[0]);
  expect(texts).toMatchObject([
    { index: 0, text: "one" },
    { index: 2, text: "two" },
  ]);
});
