import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createHealth, type Health } from "../../../packages/runtime/src/egress/health.ts";
import { createPick, type PickInput } from "../../../packages/runtime/src/egress/pick.ts";
import {
  backoffMs,
  createRetryBudget,
  retryWaitMs,
  toRetrying,
  type RetryPolicy,
} from "../../../packages/runtime/src/egress/retry.ts";

function input(ids: readonly string[], loads: Readonly<Record<string, number>> = {}): PickInput {
  return {
    instances: ids.map((id) => ({ id, key: id, host: "h", port: 1, path: "p", labels: {} })),
    loadOf: (id) => loads[id] ?? 0,
  };
}

// A generator whose numbers are known: 0, 1/n, 2/n …
function counting(steps: number): () => number {
  let turn = -1;
  return () => (turn = (turn + 1) % steps) / steps;
}

describe("a choice of instance", () => {
  test("round robin takes everyone in turn, also while one is left out", () => {
    const pick = createPick("round-robin", Math.random);
    const ids = ["1", "2", "10"];
    expect(Array.from({ length: 6 }, () => pick(input(ids))?.id)).toEqual(["1", "2", "10", "1", "2", "10"]);
    expect(pick(input(["2", "10"]))?.id).toBe("2");
    expect(pick(input(ids))?.id).toBe("10");
    expect(pick(input([]))).toBeUndefined();
  });

  test("round robin's counts differ by at most one", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { minLength: 1, maxLength: 8 }),
        fc.nat(100),
        (values, rounds) => {
          const ids = values.toSorted((left, right) => (left < right ? -1 : 1)).map(String);
          const pick = createPick("round-robin", Math.random);
          const counts = new Map<string, number>(ids.map((id) => [id, 0]));
          for (let index = 0; index < rounds; index += 1) {
            const id = pick(input(ids))?.id ?? "";
            counts.set(id, (counts.get(id) ?? Number.NaN) + 1);
          }
          expect(Math.max(...counts.values()) - Math.min(...counts.values())).toBeLessThanOrEqual(1);
        },
      ),
    );
  });

  test("random takes everyone with the same chance", () => {
    const pick = createPick("random", counting(3));
    expect(["1", "2", "3"].map(() => pick(input(["1", "2", "3"]))?.id)).toEqual(["1", "2", "3"]);
  });

  test("least loaded takes one of those with the least under way", () => {
    const pick = createPick("least-loaded", counting(2));
    expect(Array.from({ length: 4 }, () => pick(input(["1", "2", "3"], { 1: 5, 2: 1, 3: 1 }))?.id)).toEqual([
      "2",
      "3",
      "2",
      "3",
    ]);
  });

  test("power of two takes the less loaded of two drawn at random, never one twice", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (one, two) => {
          const numbers = [one, two];
          const pick = createPick("power-of-two", () => numbers.shift() ?? 0);
          expect(pick(input(["1", "2", "3"], { 1: 9, 2: 1, 3: 2 }))?.id).not.toBe("1");
        },
      ),
    );
    expect(createPick("power-of-two", () => 0)(input(["1"]))?.id).toBe("1");
  });

  test("direct leaves it to the request", () => {
    expect(createPick("direct", Math.random)(input(["1", "2"]))).toBeUndefined();
  });
});

describe("a circuit", () => {
  interface Watched {
    readonly health: Health;
    readonly pass: (ms: number) => void;
    readonly run: (failed: boolean) => ReturnType<Health["end"]>;
  }

  function start(): Watched {
    let time = 0;
    const health = createHealth({ failures: 3, openMs: 100, maxOpenMs: 300, now: () => time });
    return {
      health,
      pass: (ms) => void (time += ms),
      run(failed) {
        health.begin("1");
        return health.end("1", failed ? "failed" : "well");
      },
    };
  }

  test("counts for nothing while the instance is waited for: it is asked by nobody who may ask another", () => {
    const { health, run } = start();
    health.stalled("1", true);
    expect([health.isWell("1"), health.isProven("1")]).toEqual([false, false]);
    expect(run(false)).toBe(undefined);
    expect([health.isWell("1"), health.isProven("1")]).toEqual([false, false]);
    health.stalled("1", false);
    expect([health.isWell("1"), health.isProven("1")]).toEqual([true, true]);
  });

  test("opens after failures in a row, not before", () => {
    const { health, run } = start();
    expect([run(true), run(true), run(false), run(true), run(true)]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(health.isWell("1")).toBe(true);
    expect(run(true)).toBe("opened");
    expect(health.isWell("1")).toBe(false);
  });

  test("opens at once for an instance that cannot be reached, and never for longer than at first", () => {
    const { health, pass } = start();
    for (let index = 0; index < 4; index += 1) {
      health.begin("1");
      expect(health.end("1", "unreachable")).toBe("opened");
      pass(99);
      expect([health.isWell("1"), health.isProven("1")]).toEqual([false, false]);
      pass(1);
      expect([health.isWell("1"), health.isProven("1")]).toEqual([true, false]);
    }
  });

  test("opens when a connection is lost with nothing under way, and an attempt that ends with it changes nothing", () => {
    const { health, pass } = start();
    health.begin("1");
    health.lost("1");
    expect(health.isWell("1")).toBe(false);
    expect(health.end("1", "unreachable")).toBeUndefined();
    pass(100);
    expect(health.isWell("1")).toBe(true);
  });

  test("lets one probe through when its time is over, and closes if that succeeds", () => {
    const { health, pass, run } = start();
    for (let index = 0; index < 3; index += 1) run(true);
    pass(99);
    expect(health.isWell("1")).toBe(false);
    pass(1);
    expect(health.isWell("1")).toBe(true);
    health.begin("1");
    expect(health.isWell("1")).toBe(false);
    expect(health.end("1", "well")).toBe("closed");
    expect(health.isWell("1")).toBe(true);
  });

  test("closes at the probe's first word, and what fails after it counts as one failure", () => {
    const { health, pass, run } = start();
    for (let index = 0; index < 3; index += 1) run(true);
    health.begin("2");
    expect(health.answered("1")).toBe(false); // an attempt from before it opened
    expect(health.isProven("1")).toBe(false);
    pass(100);
    health.begin("1");
    expect(health.answered("1")).toBe(true);
    expect([health.isWell("1"), health.isProven("1"), health.answered("1")]).toEqual([true, true, false]);
    expect(health.end("1", "failed")).toBeUndefined();
    expect([run(true), health.isWell("1")]).toEqual([undefined, true]);
    expect(run(true)).toBe("opened");
  });

  test("stays open twice as long after each failed probe, up to a limit", () => {
    const { health, pass, run } = start();
    for (let index = 0; index < 3; index += 1) run(true);
    for (const openMs of [100, 200, 300, 300]) {
      pass(openMs - 1);
      expect(health.isWell("1")).toBe(false);
      pass(1);
      expect(run(true)).toBe("opened");
    }
  });

  test("is not closed by an attempt that says nothing, which leaves the probe to the next", () => {
    const { health, pass, run } = start();
    for (let index = 0; index < 3; index += 1) run(true);
    pass(100);
    health.begin("1");
    expect(health.end("1", "unknown")).toBeUndefined();
    expect(health.isWell("1")).toBe(true);
    expect(run(true)).toBe("opened");
  });

  test("forgets an instance that has failed once and was never asked again", () => {
    const { health, pass, run } = start();
    run(true);
    run(true);
    pass(600_001);
    health.begin("2");
    health.end("2", "failed");
    expect(run(true)).toBeUndefined(); // its two failures are forgotten
  });

  test("counts what is under way", () => {
    const { health } = start();
    health.begin("1");
    health.begin("1");
    expect([health.loadOf("1"), health.loadOf("2")]).toEqual([2, 0]);
  });
});

test("a retry budget lets through what is saved, then a share of the requests", () => {
  const budget = createRetryBudget({ perRequest: 0.2, most: 10 });
  const retries = (): number => Array.from({ length: 100 }, () => budget.withdraw()).filter(Boolean).length;
  expect(retries()).toBe(10);
  for (let index = 0; index < 20; index += 1) budget.deposit();
  expect(retries()).toBeGreaterThanOrEqual(3);
  for (let index = 0; index < 1_000; index += 1) budget.deposit();
  expect(retries()).toBe(10);
});

test("the wait before a retry grows from nothing to its limit", () => {
  expect([0, 1, 2, 3, 9].map((retry) => backoffMs(retry, () => 1))).toEqual([0, 10, 20, 40, 250]);
  expect(backoffMs(9, () => 0)).toBe(125);
  const waitsOf = (policy?: RetryPolicy): number[] =>
    [1, 2, 3, 4].map((failed) => retryWaitMs(toRetrying(policy), failed, () => 1));
  expect(waitsOf()).toEqual([0, 10, 20, 40]);
  expect(waitsOf({ backoffMs: 50 })).toEqual([50, 100, 200, 400]);
  expect(waitsOf({ backoffMs: 0 })).toEqual([0, 0, 0, 0]);
  expect(waitsOf({ backoffMs: 40_000 })).toEqual([40_000, 60_000, 60_000, 60_000]);
});
