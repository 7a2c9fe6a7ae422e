import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Deadlines, readTimeout, type DeadlineLimits } from "../../packages/frontend/src/inference/deadlines.ts";

const limits: DeadlineLimits = { totalMs: 1_000, firstTokenMs: 300, betweenTokensMs: 100 };

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function begin(more: Partial<DeadlineLimits> = {}): { deadlines: Deadlines; expired: string[] } {
  const expired: string[] = [];
  const deadlines = new Deadlines({
    limits: { ...limits, ...more },
    startedAt: performance.now(),
    now: () => performance.now(),
    onExpiry: ({ code, message }) => expired.push(`${code}: ${message}`),
  });
  return { deadlines, expired };
}

describe("an answer is late", () => {
  test("when the first token does not come", () => {
    const { expired } = begin();
    vi.advanceTimersByTime(299);
    expect(expired).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(expired).toEqual(["deadline_exceeded: no first token within 300 ms"]);
  });

  test("when a further token does not come, counted from the last", () => {
    const { deadlines, expired } = begin();
    for (let index = 0; index < 5; index += 1) {
      vi.advanceTimersByTime(90);
      deadlines.heard();
    }
    vi.advanceTimersByTime(99);
    expect(expired).toEqual([]);
    vi.advanceTimersByTime(101); // the timer looks when the token before was due, then again
    expect(expired).toEqual(["deadline_exceeded: no further token within 100 ms"]);
  });

  test("when it takes too long in all, however steady", () => {
    const { deadlines, expired } = begin();
    for (let index = 0; index < 19; index += 1) {
      vi.advanceTimersByTime(50);
      deadlines.heard();
    }
    expect(expired).toEqual([]);
    vi.advanceTimersByTime(50);
    expect(expired).toEqual(["deadline_exceeded: the answer was not complete within 1000 ms"]);
  });

  test("not while the client holds it, but in all", () => {
    const { deadlines, expired } = begin();
    deadlines.heard();
    deadlines.hold();
    vi.advanceTimersByTime(500);
    expect(expired).toEqual([]);
    deadlines.heard();
    vi.advanceTimersByTime(200);
    expect(expired).toEqual(["deadline_exceeded: no further token within 100 ms"]);
  });

  test("again once the client reads, counted from then", () => {
    const { deadlines, expired } = begin();
    deadlines.heard();
    deadlines.hold();
    vi.advanceTimersByTime(350);
    deadlines.heard();
    vi.advanceTimersByTime(99);
    expect(expired).toEqual([]);
    vi.advanceTimersByTime(101);
    expect(expired).toEqual(["deadline_exceeded: no further token within 100 ms"]);
  });

  test("never without limits, nor once it is over", () => {
    const { deadlines, expired } = begin({ totalMs: 0, firstTokenMs: 0, betweenTokensMs: 0 });
    expect(deadlines.endsAt).toBeUndefined();
    const other = begin();
    other.deadlines[Symbol.dispose]();
    vi.advanceTimersByTime(10_000_000);
    expect([...expired, ...other.expired]).toEqual([]);
  });
});

describe("a client's own limit", () => {
  test.each([
    ["1", 1],
    ["500", 500],
    ["86400000", 1_000],
  ])("of %s ms gives %d", (value, totalMs) => {
    expect(readTimeout(value, limits).totalMs).toBe(totalMs);
  });

  test("counts as it is where there is no other", () => {
    expect(readTimeout("5000", { ...limits, totalMs: 0 }).totalMs).toBe(5_000);
    expect(readTimeout(undefined, limits)).toBe(limits);
  });

  test.each(["0", "-1", "1.5", "soon", "", "86400001", "999999999"])("of %j is refused by name", (value) => {
    expect(() => readTimeout(value, limits)).toThrow(
      "x-request-timeout-ms header must be a whole number of ms from 1 to 86400000",
    );
  });
});
