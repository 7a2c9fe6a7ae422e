// Numbers that JavaScript cannot hold: they reach the engine as they were written, or are refused by their size.
import { describe, expect, test } from "vitest";
import { toRequests } from "../../packages/runtime/src/llm/choices.ts";
import type { ModelJob } from "../../packages/runtime/src/llm/contract.ts";
import { checkJob } from "../../packages/runtime/src/llm/job-check.ts";
import { decodePayload, encodePayload } from "../../packages/runtime/src/wire/payload.ts";
import { maxInt64, minInt64, parse, problemOf } from "./one-field.ts";

const both = ["chat", "completions"] as const;

const seedOf = (api: "chat" | "completions", json: string): unknown =>
  (parse(api, "seed", json) as { job: ModelJob }).job.sampling.seed;

describe("a seed of 64 bits", () => {
  test.each(
    both.flatMap((api) =>
      [minInt64, "-9007199254740993", "9007199254740993", maxInt64].map((seed) => [api, seed] as const),
    ),
  )("reaches the engine of %s as it was written: %s", (api, seed) => {
    const { job } = parse(api, "seed", seed) as { job: ModelJob };
    const [request] = toRequests(checkJob(decodePayload(encodePayload(job), "job") as ModelJob, "aggregated"));
    expect(request?.sampling.seed).toBe(BigInt(seed));
  });

  test("is a number where a number is exact", () => {
    for (const seed of ["-9007199254740991", "9007199254740991", "7.0", "1e3"])
      expect(seedOf("chat", seed)).toBe(Number(seed));
  });

  test("is the last of two, and not mistaken for another field or text", () => {
    expect(
      seedOf(
        "chat",
        '1,"user":"\\"seed\\":9007199254740995","metadata":{"seed":9007199254740997},"\\u0073eed" : 9007199254740993',
      ),
    ).toBe(9007199254740993n);
    expect(seedOf("chat", '9007199254740993,"seed":1e18')).toBe(1_000_000_000_000_000_000n);
    expect(seedOf("chat", '9007199254740993,"seed":5')).toBe(5);
    expect(seedOf("chat", `9007199254740993,"x":${"9".repeat(100_000)}`)).toBe(9007199254740993n);
  });

  test("differs from choice to choice, and behind the last comes the first", () => {
    const base = { model: "m", messages: [], stop: [], n: 3 };
    const seedsFrom = (seed: number | bigint): unknown[] =>
      toRequests({ ...base, sampling: { seed } }).map(({ sampling }) => sampling.seed);
    expect(seedsFrom(1)).toEqual([1, 2, 3]);
    expect(seedsFrom(Number.MAX_SAFE_INTEGER)).toEqual([9007199254740991, 9007199254740992n, 9007199254740993n]);
    expect(seedsFrom(BigInt(maxInt64) - 1n)).toEqual([BigInt(maxInt64) - 1n, BigInt(maxInt64), BigInt(minInt64)]);
    expect(seedsFrom(-9007199254740993n)).toEqual([-9007199254740993n, -9007199254740992n, -9007199254740991]);
  });
});

test("a number beyond 2^53 is named as too large or too small, not as none", () => {
  expect(problemOf("chat", "n", "99999999999999999999")).toMatchObject({
    message: "n is out of range",
    apiCode: "integer_above_max_value",
  });
  expect(problemOf("chat", "n", "-99999999999999999999")).toMatchObject({
    message: "n is out of range",
    apiCode: "integer_below_min_value",
  });
  // Where no number is asked for, its size does not matter.
  expect(problemOf("chat", "tools", "99999999999999999999")).toMatchObject({
    message: "tools must be a list",
    apiCode: "invalid_type",
  });
});

test("a limit on tokens beyond what can be counted is no limit", () => {
  const { job } = parse("chat", "max_tokens", maxInt64) as { job: ModelJob };
  expect(job.maxTokens).toBe(Number.MAX_SAFE_INTEGER);
});
