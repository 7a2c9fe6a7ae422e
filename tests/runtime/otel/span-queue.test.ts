// The queue of spans before an exporter that fails in every way.
import { expect, test } from "vitest";
import { createLogger } from "../../support/logger.ts";
import { SpanQueue, type SpanQueueOptions } from "../../../packages/runtime/src/otel/span-queue.ts";

type EndedSpan = Parameters<SpanQueue["onEnd"]>[0];

test("an exporter that throws loses its spans and no place of the queue", async () => {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ sink: (line) => lines.push(line) });
  const exporter: SpanQueueOptions["exporter"] = {
    export() {
      throw new Error("cannot be encoded");
    },
    shutdown: () => Promise.resolve(),
  };
  let at = 0;
  const queue = new SpanQueue({
    exporter,
    maxQueueSize: 2,
    maxBatchSize: 2,
    scheduleDelayMs: 60_000,
    log,
    now: () => (at += 60_000),
  });
  const span = { spanContext: () => ({ traceFlags: 1 }), resource: {} } as unknown as EndedSpan; // all that the queue looks at
  for (let round = 0; round < 3; round += 1) {
    for (let index = 0; index < 2; index += 1) queue.onEnd(span);
    await queue.forceFlush().catch(() => undefined); // the batch has failed
  }
  expect(queue.missing).toBe(6);
  expect(lines.map(({ lost_spans, error }) => [lost_spans, error])).toEqual(
    [2, 2, 2].map((count) => [count, "cannot be encoded"]),
  );
});
