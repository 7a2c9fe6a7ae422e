// How long tokens take: what is drawn has the mean and the deviation that were asked for, and is drawn again by the same seed.
import { describe, expect, test } from "vitest";
import { createClockwork } from "../../packages/mock-worker/src/pace/pace.ts";
import { createTimes, parseTimes } from "../../packages/mock-worker/src/pace/times.ts";
import type { ModelRequest } from "../../packages/runtime/src/llm/contract.ts";

function draw(given: number | string, seed = 0): number[] {
  const times = createTimes(given, seed);
  return Array.from({ length: 20_000 }, (_, at) => times.at(at % 100, Math.floor(at / 100)));
}

function meanOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0) / numbers.length;
}

function deviationOf(numbers: readonly number[]): number {
  const mean = meanOf(numbers);
  return Math.sqrt(meanOf(numbers.map((each) => (each - mean) ** 2)));
}

describe("times", () => {
  test("are fixed, or have the mean and the deviation that were asked for", () => {
    expect(new Set(draw(20))).toEqual(new Set([20]));
    for (const kind of ["normal", "lognormal"]) {
      const drawn = draw(`${kind}(200,50)`);
      expect(Math.abs(meanOf(drawn) - 200)).toBeLessThan(2);
      expect(Math.abs(deviationOf(drawn) - 50)).toBeLessThan(2);
    }
  });

  test("are never below 0, nor longer than a timer can hold", () => {
    expect(Math.min(...draw("normal(10,100)"))).toBe(0);
    expect(Math.max(...draw("lognormal(2000000000,9000000000)"))).toBe(2 ** 31 - 1);
    expect(new Set(draw("lognormal(0,5)"))).toEqual(new Set([0]));
  });

  test("are drawn again by the same seed, and others by another", () => {
    expect(draw("normal(200,50)", 7)).toEqual(draw("normal(200,50)", 7));
    expect(draw("normal(200,50)", 7)).not.toEqual(draw("normal(200,50)", 8));
  });

  test.each(["", "-1", "x", "normal", "normal(1)", "normal(-1,2)", "normal(1,-2)", "uniform(1,2)", "1e99"])(
    "%j is refused",
    (text) => {
      expect(() => parseTimes(text)).toThrow(
        "expected a number from 0 to 2147483647, normal(MEAN,SD) or lognormal(MEAN,SD)",
      );
    },
  );

  test("are read as they are written", () => {
    expect([" 20 ", "0.5", "normal(200, 50)"].map(parseTimes)).toEqual([20, 0.5, "normal(200, 50)"]);
  });
});

test("a long prompt takes longer to its first token, and the ratio divides all of it", () => {
  const request = (text: string): ModelRequest => ({
    model: "m",
    messages: [{ role: "user", text }],
    stop: [],
    sampling: {},
  });
  const options = { ttftMs: 100, itlMs: 20, prefillTokensPerS: 1_000, seed: 0 };
  const clockwork = createClockwork({ ...options, speedupRatio: 2 });
  expect(clockwork.next(request("word ".repeat(500))).firstMs).toBe(300.5); // and the blank at its end
  expect(clockwork.next(request("")).firstMs).toBe(50);
  expect(clockwork.next(request("")).nextMs(1)).toBe(10);
  expect(createClockwork({ ...options, speedupRatio: 0 }).next(request("a b")).firstMs).toBe(0);
});
