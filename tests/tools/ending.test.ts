// When a soak is over: at a signal, which counts once however it comes, or after its time.
import { expect, test } from "vitest";
import { createEnding } from "../../tools/soak/ending.ts";

test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
  "%s ends it and wakes who rests, and its echo is no second one",
  async (signal) => {
    using ending = createEnding();
    ending.start(3_600_000);
    const rest = ending.rest(3_600_000);
    expect(ending.isOver).toBe(false);
    process.emit(signal, signal);
    process.emit(signal, signal);
    await rest;
    expect([ending.isOver, ending.reason]).toEqual([true, signal]);
  },
);

test("time ends it without a reason", async () => {
  using ending = createEnding();
  ending.start(1);
  while (!ending.isOver) await ending.rest(3_600_000);
  expect(ending.reason).toBeUndefined();
});
