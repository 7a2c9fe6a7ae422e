// A handler that holds the event loop is named in the log.
import { expect, test } from "vitest";
import { LoopWatch, type WatchedRequest } from "../../../packages/runtime/src/ingress/loop-watch.ts";
import { eventually, type Line } from "../../support/cluster.ts";
import { createLogger } from "../../support/logger.ts";
import { collect, startPair } from "../peers.ts";

interface Watched {
  readonly watch: LoopWatch;
  readonly lines: Line[];
  readonly running: WatchedRequest[];
  /** Let time go by; the loop works for the whole of it, or waits. */
  readonly pass: (ms: number, isBusy?: boolean) => void;
}

function startWatch(): Watched {
  const lines: Line[] = [];
  const running: WatchedRequest[] = [];
  let [now, busy] = [1_000, 0];
  const watch = new LoopWatch({
    log: createLogger({ sink: (record) => lines.push(record) }),
    now: () => now,
    busyMs: () => busy,
    running: () => running,
  });
  watch.start();
  return {
    watch,
    lines,
    running,
    pass(ms, isBusy = true) {
      now += ms;
      if (isBusy) busy += ms;
    },
  };
}

test("work of less than a second is not told, and neither is a process that was stopped while it waited", () => {
  const { watch, lines, running, pass } = startWatch();
  using _watch = watch;
  running.push({ requestId: "one", begunAt: 0 });
  pass(999);
  watch.look();
  pass(60_000, false);
  watch.look();
  expect(lines).toEqual([]);
});

test("a second of work is told with the request whose handler ran", () => {
  const { watch, lines, running, pass } = startWatch();
  using _watch = watch;
  running.push({ requestId: "one", begunAt: 0 }, { requestId: "waits", begunAt: undefined });
  pass(1_000);
  watch.look();
  expect(lines).toMatchObject([
    { level: "WARN", target: "dyn_runtime", message: "event loop blocked", blocked_ms: 1_000, request_id: "one" },
  ]);
});

test("without a request it is told all the same", () => {
  const { watch, lines, pass } = startWatch();
  using _watch = watch;
  pass(2_500);
  watch.look();
  expect(lines).toMatchObject([{ blocked_ms: 2_500 }]);
  expect(lines[0]).not.toHaveProperty("request_id");
  expect(lines[0]).not.toHaveProperty("request_ids");
});

test("of several, those that were there when it began are named, eight at most, and the ones that ended with it first", () => {
  const { watch, lines, running, pass } = startWatch();
  using _watch = watch;
  running.push(...Array.from({ length: 20 }, (_, index) => ({ requestId: `r${index}`, begunAt: 0 })));
  watch.ended({ requestId: "ended before", begunAt: 0 });
  pass(5_000);
  watch.ended({ requestId: "ended", begunAt: 0 });
  running.push({ requestId: "late", begunAt: 5_500 });
  watch.look();
  expect(lines).toMatchObject([{ blocked_ms: 5_000, requests: 21, request_ids: "ended,r0,r1,r2,r3,r4,r5,r6" }]);
  pass(1_000);
  watch.look();
  expect(lines[1]).toMatchObject({ requests: 21, request_ids: "r0,r1,r2,r3,r4,r5,r6,r7" });
});

test("a worker tells of a handler that has blocked it, though that has ended by then", async () => {
  await using pair = await startPair({
    async *handler({ count }) {
      if (count === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
      yield 1;
    },
  });
  const answer = pair.client.generate({ count: 0 });
  expect(await collect(answer)).toEqual([1]);
  const told = await eventually("the line", () =>
    pair.workerLines.find(({ message }) => message === "event loop blocked"),
  );
  expect(told).toMatchObject({ level: "WARN", target: "dyn_runtime", request_id: answer.requestId });
  expect(told["blocked_ms"]).toBeGreaterThanOrEqual(1_000);
});
