// The memory that requests may take: a counter that is never above its limit and gives back all that was taken.
import fc from "fast-check";
import { expect, test } from "vitest";
import { getHeapStatistics } from "node:v8";
import { createMemoryBudget, type MemoryBudget, type MemoryShare } from "../../packages/runtime/src/memory-budget.ts";
import { createRuntimeMetrics, type RuntimeMetrics } from "../../packages/runtime/src/metrics/runtime-metrics.ts";

const mib = 1024 * 1024;

function open(limitMib: number): { readonly budget: MemoryBudget; readonly shown: RuntimeMetrics["memory"] } {
  const shown = createRuntimeMetrics().memory;
  return { budget: createMemoryBudget(limitMib * 1024 * 1024, shown), shown };
}

type Step = readonly [what: "open" | "take" | "release" | "dispose", which: number, bytes: number];
const steps = fc.array(
  fc.tuple(
    fc.constantFrom("open", "take", "release", "dispose"),
    fc.nat(7),
    fc.integer({ min: -1, max: 2 * mib }),
  ) as fc.Arbitrary<Step>,
  { maxLength: 200 },
);

test("whatever is taken and given back, used is the sum of what shares have, never above the limit, and 0 when all are gone", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const { budget, shown } = open(1);
      const shares: MemoryShare[] = [];
      for (const [what, which, bytes] of all) {
        const share = shares[which % Math.max(1, shares.length)];
        if (what === "open") shares.push(budget.open());
        else if (what === "dispose") share?.[Symbol.dispose]();
        else if (what === "release") share?.release(Math.max(0, bytes));
        else {
          const before = share?.bytes;
          try {
            share?.take(bytes);
          } catch {
            expect(share?.bytes).toBe(before);
          }
        }
        expect(budget.usedBytes).toBe(shares.reduce((sum, { bytes: its }) => sum + its, 0));
        expect(budget.usedBytes).toBeLessThanOrEqual(budget.limitBytes);
        expect(shown.used.value).toBe(budget.usedBytes);
      }
      for (const share of shares) share[Symbol.dispose]();
      expect(budget.usedBytes).toBe(0);
    }),
  );
});

test("what is refused says how much was wanted and left, and is counted", () => {
  const { budget, shown } = open(1);
  const share = budget.open();
  for (let left = mib - 100; left > 0; left -= 200_000) share.take(Math.min(200_000, left));
  expect(() => share.take(101)).toThrow(
    expect.objectContaining({
      code: "overloaded",
      message:
        "there is no memory for 101 bytes more: 1048476 are taken of the 1048576 bytes that requests may take, set by DYN_MEMORY_LIMIT_MB",
    }),
  );
  share.take(100);
  expect([shown.limit.value, shown.used.value, shown.refusals.value]).toEqual([mib, mib, 1]);
});

test("the last quarter is for those who want little", () => {
  const { budget } = open(4);
  const share = budget.open();
  for (let index = 0; index < 2; index += 1) share.take(1.5 * mib);
  expect(() => share.take(mib + 1)).toThrow("there is no memory for 1048577 bytes more");
  share.take(mib);
});

test("what never fits is too large, not a matter of waiting", () => {
  const share = open(4).budget.open();
  expect(() => share.take(3 * mib + 1)).toThrow(expect.objectContaining({ code: "too_large" }));
  share.take(3 * mib);
});

test("a share that is disposed takes nothing any more", () => {
  const { budget } = open(1);
  const share = budget.open();
  share[Symbol.dispose]();
  share.take(2 * mib);
  expect(budget.usedBytes).toBe(0);
});

test("without a setting the limit is a third of the heap", () => {
  expect(open(0).budget.limitBytes).toBe(Math.floor(getHeapStatistics().heap_size_limit / 3));
});
