import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  createFaultPlan,
  formatFaults,
  parseFaults,
  type Fault,
} from "../../packages/mock-worker/src/faults/faults.ts";

describe("faults", () => {
  test("are read from a list", () => {
    expect(parseFaults("error:overloaded%0.1, delay:200@4,hang@2%.5,crash")).toEqual([
      { type: "error", code: "overloaded", afterTokens: 0, rate: 0.1 },
      { type: "delay", ms: 200, afterTokens: 4, rate: 1 },
      { type: "hang", afterTokens: 2, rate: 0.5 },
      { type: "crash", afterTokens: 0, rate: 1 },
    ]);
    expect(parseFaults("")).toEqual([]);
  });

  test("are written as they are read", () => {
    const kinds = fc.oneof(
      fc.constantFrom("overloaded" as const, "internal" as const).map((code) => ({ type: "error" as const, code })),
      fc.nat().map((ms) => ({ type: "delay" as const, ms })),
      fc.constantFrom("hang" as const, "crash" as const, "cut" as const, "garbage" as const).map((type) => ({ type })),
    );
    const rates = fc.double({ min: 0, max: 1, noNaN: true }).map((rate) => Math.abs(rate)); // no -0
    const fault = fc
      .tuple(kinds, fc.nat(999_999_999), rates)
      .map(([kind, afterTokens, rate]) => ({ ...kind, afterTokens, rate }));
    const expectKept = (faults: Fault[]): void => {
      expect(parseFaults(formatFaults(faults))).toEqual(faults);
    };
    fc.assert(fc.property(fc.array(fault), expectKept));
  });

  test("begin again when they are replaced", () => {
    const faults = parseFaults("cut%0.5");
    const plan = createFaultPlan([], 7);
    const hits = (): number[] => Array.from({ length: 50 }, () => plan.next().length);
    expect(new Set(hits())).toEqual(new Set([0]));
    plan.replace(faults);
    const first = hits();
    expect(new Set(first)).toEqual(new Set([0, 1]));
    plan.replace(faults);
    expect(hits()).toEqual(first);
  });

  test.each([
    "explode",
    "error:nope",
    "delay",
    "delay:x",
    "crash:1",
    "hang@",
    "hang@-1",
    "hang%2",
    "hang%",
    "error@1.5",
  ])("%j is refused", (text) => {
    expect(() => parseFaults(text)).toThrow(/expected KIND/);
  });

  test("hit the share of requests that they name, the same ones every time", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xffff_ffff }),
        fc.double({ min: 0.05, max: 0.95, noNaN: true }),
        (seed, rate) => {
          const hits = (): boolean[] => {
            const plan = createFaultPlan([{ type: "cut", afterTokens: 0, rate }], seed);
            return Array.from({ length: 2_000 }, () => plan.next().length === 1);
          };
          const [first, second] = [hits(), hits()];
          expect(second).toEqual(first);
          const share = first.filter(Boolean).length / first.length;
          expect(Math.abs(share - rate)).toBeLessThan(0.08); // more than five standard deviations
        },
      ),
      { numRuns: 50 },
    );
  });
});
