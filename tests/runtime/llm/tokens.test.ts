// Tokens of engines without a tokenizer: how texts are split, and what is counted of them.
import fc from "fast-check";
import { expect, test } from "vitest";
import { createRuns } from "../../../packages/runtime/src/llm/choices.ts";
import type { ModelJob } from "../../../packages/runtime/src/llm/contract.ts";
import { countTextTokens, splitTokens } from "../../../packages/runtime/src/llm/tokens.ts";
import { TokenClock } from "../../../packages/runtime/src/trace/token-clock.ts";

test("tokens joined are the text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      expect([...splitTokens(text)].join("")).toBe(text);
    }),
  );
  expect([...splitTokens("hello big  world ")]).toEqual(["hello", " big", "  world", " "]);
  expect([...splitTokens("hello big  world ", 2)]).toEqual(["  world", " "]);
});

test("a token is a word with the blanks before it, or the blanks at the end, as a regular expression knows them", () => {
  const everyUnit = Array.from({ length: 0x1_0000 }, (_, code) => `a${String.fromCharCode(code)}`).join("");
  const blanks = fc.string({
    unit: fc.constantFrom(...Array.from(" \t\n\r\v\f\u00a0\u1680\u2003\u2028\u3000\ufeffab\u200b\u180e\u{1f600}")),
    maxLength: 20,
  });
  const holds = (text: string, skipped: number): void => {
    const tokens = text.match(/\s*\S+|\s+$/g) ?? [];
    expect(countTextTokens(text)).toBe(tokens.length);
    expect([...splitTokens(text, skipped)]).toEqual(tokens.slice(skipped));
  };
  holds(everyUnit, 65_000);
  fc.assert(fc.property(fc.oneof(blanks, fc.string()), fc.nat(5), holds));
});

test("a prompt is counted once for all its choices, and only if somebody wants to know", () => {
  let reads = 0;
  const message = {
    role: "user" as const,
    get text() {
      reads += 1;
      return "a b";
    },
  };
  const job: ModelJob = { model: "m", messages: [message], stop: [], sampling: {}, n: 3 };
  const clock = new TokenClock(0, () => 0);
  const runs = createRuns(job, clock);
  expect(reads).toBe(0);
  expect(runs.map(({ state }) => state.count.usage.promptTokens)).toEqual([2, 2, 2]);
  expect(reads).toBe(1);
  expect(
    createRuns({ ...job, prompts: [{ text: "a b" }, { text: "c", tokenIds: [1, 2, 3] }] }, clock).map(
      ({ state }) => state.count.usage.promptTokens,
    ),
  ).toEqual([2, 2, 2, 3, 3, 3]);
});
