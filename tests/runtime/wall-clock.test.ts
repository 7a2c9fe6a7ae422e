// The time of day to the microsecond, although the system's clock has milliseconds only, may be set, and may run on while the monotonic one sleeps.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createWallClock, type WallClock } from "../../packages/runtime/src/wall-clock.ts";

const noon = Date.UTC(2026, 10, 24, 12);

interface Fixture {
  readonly clock: WallClock;
  /** Let so many ms pass. */
  readonly pass: (ms: number) => void;
  /** Set the system's clock by so many ms: a step, or what passed while the machine slept. */
  readonly set: (ms: number) => void;
  /** What time it is, exactly. */
  readonly truth: () => number;
  /** What the process does not live through: `ms` pass between its next two looks at a clock. */
  readonly stopBetweenLooks: (ms: number) => void;
}

function createFixture(): Fixture {
  let [elapsed, ahead, stop] = [1_000.25, 0, 0];
  const truth = (): number => noon + elapsed + ahead;
  const monotonic = (): number => {
    const reading = elapsed;
    [elapsed, stop] = [elapsed + stop, 0];
    return reading;
  };
  const clock = createWallClock({ systemClock: () => Math.floor(truth()), monotonic, origin: noon });
  return {
    clock,
    truth,
    pass: (ms) => void (elapsed += ms),
    set: (ms) => void (ahead += ms),
    stopBetweenLooks: (ms) => void (stop = ms),
  };
}

describe("the wall clock", () => {
  test("has the fractions of the monotonic one", () => {
    const { clock, pass } = createFixture();
    expect(clock.now()).toBe(noon + 1_000.25);
    pass(0.125);
    expect(clock.now()).toBe(noon + 1_000.375);
  });

  test.each([3_600_000, -3_600_000, 2.5, -2.5])("follows the system's clock that is set by %d ms", (ms) => {
    const { clock, truth, set, pass } = createFixture();
    clock.now();
    set(ms);
    expect(Math.abs(clock.now() - truth())).toBeLessThan(1);
    pass(10);
    expect(Math.abs(clock.now() - truth())).toBeLessThan(1);
  });

  test("is not led astray by a process that stops between two looks", () => {
    const { clock, truth, stopBetweenLooks } = createFixture();
    stopBetweenLooks(50);
    expect(clock.now()).toBe(truth());
  });

  test("gives an offset as of now, to be kept by what begins now", () => {
    const { clock, set } = createFixture();
    const before = clock.offset();
    set(60_000);
    expect(clock.offset() - before).toBeCloseTo(60_000, -1);
    expect(before).toBe(noon);
  });

  test("is never off by more than two milliseconds, and goes back only if the system's clock does", () => {
    const step = fc.record({
      pass: fc.double({ min: 0, max: 5, noNaN: true }),
      set: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 10, noNaN: true })),
    });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 50 }),
        fc.double({ min: -100, max: 100, noNaN: true }),
        (steps, first) => {
          const { clock, truth, set, pass } = createFixture();
          set(first);
          let last = clock.now();
          for (const each of steps) {
            pass(each.pass);
            set(each.set);
            const now = clock.now();
            expect(Math.abs(now - truth())).toBeLessThan(2);
            expect(now).toBeGreaterThanOrEqual(last);
            last = now;
          }
        },
      ),
    );
  });

  test("is that of this machine", () => {
    const clock = createWallClock();
    const before = Date.now();
    const now = clock.now();
    expect(now).toBeGreaterThan(before - 2);
    expect(now).toBeLessThan(Date.now() + 2);
  });
});
