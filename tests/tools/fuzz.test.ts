// A short run of `npm run fuzz`, and every input that has once broken something, again.
import { describe, expect, test } from "vitest";
import { badCases } from "./bad-targets.ts";
import { makeCase } from "../../tools/fuzz/campaign.ts";
import { runLive } from "../../tools/fuzz/live.ts";
import { corpusOf, readSeeds } from "../../tools/fuzz/seeds.ts";
import { targets } from "../../tools/fuzz/targets.ts";
import { watchCampaign } from "../../tools/fuzz/watch.ts";

const hangMs = 20_000;

describe("bytes nobody should send", () => {
  test.each(targets)("to $name are taken or refused, and leave nothing behind", async ({ name }) => {
    const cases = name === "lines" ? 400 : 1_200; // each is a log, which takes longer
    const { failures, summary } = await watchCampaign({ target: name, seed: 1, cases, hangMs });
    expect(failures).toEqual([]);
    expect(summary?.cases).toBe(cases);
    const { taken = 0, ...refused } = summary?.outcomes ?? {};
    const counts = Object.values(refused);
    expect(taken).toBeGreaterThan(cases / 50);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(cases / 10);
    expect(taken + counts.reduce((sum, count) => sum + count, 0)).toBe(cases + readSeeds(name).length);
  });

  test.each(targets)("to $name are the same for the same seed", (target) => {
    const corpus = corpusOf(target);
    const make = (seed: number): string[] =>
      Array.from({ length: 50 }, (_, index) => makeCase(target, corpus, seed, index).toString("hex"));
    expect(make(1)).toEqual(make(1));
    expect(make(1)).not.toEqual(make(2));
  });

  test("to a running worker and a running frontend cost nobody else anything", async () => {
    const { failures, checks, answers } = await runLive({ seed: 1, cases: 400 });
    expect(failures.map(({ index, reason }) => `${index}: ${reason}`)).toEqual([]);
    expect(checks).toBe(2);
    expect(answers[200]).toBeGreaterThan(5);
    expect(answers[400]).toBeGreaterThan(50);
  });
});

describe("the fuzz", () => {
  const module = new URL("bad-targets.ts", import.meta.url).href;

  test.each<[string, string, number?]>([
    ["throws", "TypeError: x is undefined"],
    ["refuses", "RuntimeError internal: of a code that is not allowed"],
    ["breaks", "Broken: a promise"],
    ["hangs", "no end after 3000 ms", 3_000],
    ["devours", "the thread ended: "],
    ["leaves", "the thread ended by itself, with 0"],
  ])("notices a target that %s, and keeps the case it was at", async (target, reason, limitMs = hangMs) => {
    const { failures } = await watchCampaign({ module, target, seed: 1, cases: badCases, hangMs: limitMs, heapMb: 64 });
    expect(failures).toEqual([
      { target, index: badCases - 1, bytes: expect.any(Uint8Array), reason: expect.stringContaining(reason) },
    ]);
    expect(failures[0]?.bytes).toHaveLength(2);
    expect(failures[0]?.bytes[1]).toBe(7);
  });

  test("feeds what is kept alone, and sees no leak where nothing can be compared", async () => {
    const { failures, summary } = await watchCampaign({ target: "frames", seed: 1, cases: 0, hangMs });
    expect(failures).toEqual([]);
    expect(Object.values(summary?.outcomes ?? {}).reduce((sum, count) => sum + count, 0)).toBe(
      readSeeds("frames").length,
    );
  });

  test("notices a target that leaks", async () => {
    const { failures } = await watchCampaign({ module, target: "leaks", seed: 1, cases: badCases, hangMs });
    expect(failures).toMatchObject([{ index: -1, reason: expect.stringContaining("bytes more are held") }]);
  });
});
