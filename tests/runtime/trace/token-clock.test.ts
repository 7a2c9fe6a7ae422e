// Times of tokens, with a given clock: what lines, spans and metrics of both sides are made of.
import { expect, test } from "vitest";
import { TokenClock } from "../../../packages/runtime/src/trace/token-clock.ts";

test("without a token there are no times", () => {
  const clock = new TokenClock(5, () => expect.fail("there is nothing to note the time of"));
  expect(clock.add(0)).toBeUndefined();
  expect([clock.count, clock.firstAt, clock.lastAt, clock.ttftMs, clock.slowestMs]).toEqual([
    0,
    undefined,
    undefined,
    undefined,
    0,
  ]);
  expect(clock.times()).toEqual({});
});

test("tokens that come together share the time since those before; that of the first is no time between tokens", () => {
  const clock = new TokenClock(100, () => expect.fail("the time was given"));
  expect([clock.add(2, 130), clock.add(3, 160), clock.add(1, 165), clock.add(0, 900)]).toEqual([
    undefined,
    10,
    5,
    undefined,
  ]);
  expect(clock).toMatchObject({ count: 6, firstAt: 130, lastAt: 165, ttftMs: 30, slowestMs: 10 });
  expect(clock.times()).toEqual({ ttft_ms: 30, avg_itl_ms: 7 });
});

test("one token has a time to the first, and none between; all that come at once have none either", () => {
  const clock = new TokenClock(0, () => 4);
  clock.add(1);
  expect(clock.times()).toEqual({ ttft_ms: 4 });
  clock.add(1);
  expect(clock.times()).toEqual({ ttft_ms: 4, avg_itl_ms: 0 });
});

test("times go by another beginning or another count, if they are given, and are whole microseconds", () => {
  const clock = new TokenClock(0, () => 0);
  clock.add(1, 1.234_567_8);
  clock.add(1, 2.234_567_8);
  expect(clock.times(1)).toEqual({ ttft_ms: 0.235, avg_itl_ms: 1 });
  expect(clock.times(undefined, 4)).toEqual({ ttft_ms: 1.235, avg_itl_ms: 0.333 });
  expect(clock.times(undefined, 1)).toEqual({ ttft_ms: 1.235 });
});
