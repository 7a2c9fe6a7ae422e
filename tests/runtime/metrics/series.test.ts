// Series, families, the event loop's delay: in memory, with given clocks.
import fc from "fast-check";
import { expect, test } from "vitest";
import { createEventLoopDelay } from "../../../packages/runtime/src/metrics/event-loop.ts";
import { renderMetrics } from "../../../packages/runtime/src/metrics/exposition.ts";
import { createCounters, createGauges, createHistograms } from "../../../packages/runtime/src/metrics/family.ts";
import { createMetricsRegistry, type MetricsRegistry } from "../../../packages/runtime/src/metrics/registry.ts";
import { Histogram } from "../../../packages/runtime/src/metrics/series.ts";
import { eventually } from "../../support/cluster.ts";
import { parseOpenMetrics, type Exposed } from "../../support/open-metrics.ts";

async function expose(registry: MetricsRegistry): Promise<Exposed> {
  return parseOpenMetrics((await renderMetrics(registry, "openmetrics")).body);
}

test("a histogram counts each value in the first bucket whose bound is not below it", () => {
  const value = fc.double({ min: 0, max: 20, noNaN: true });
  const bounds = fc.uniqueArray(fc.double({ min: 0, max: 10, noNaN: true }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(
      bounds,
      fc.array(fc.tuple(value, fc.integer({ min: 1, max: 50 })), { maxLength: 40 }),
      (unsorted, observations) => {
        const sorted = unsorted.toSorted((left, right) => left - right);
        const histogram = new Histogram(sorted, () => 0);
        for (const [seen, times] of observations) histogram.observe(seen, times);
        const countUpTo = (bound: number): number =>
          observations.reduce((sum, [seen, times]) => sum + (seen <= bound ? times : 0), 0);
        let total = 0;
        for (const [index, bound] of sorted.entries()) {
          total += histogram.counts[index] ?? 0;
          expect(total).toBe(countUpTo(bound));
        }
        expect(histogram.counts.reduce((sum, count) => sum + count, 0)).toBe(countUpTo(Number.POSITIVE_INFINITY));
      },
    ),
  );
});

test("a family finds the same series for the same labels, and forgets those that match", async () => {
  const registry = createMetricsRegistry();
  const counters = createCounters({ registry, name: "x_total", help: "x", labels: ["a", "b"] });
  const kept = counters.with({ a: "1", b: "1" });
  expect(counters.with({ b: "1", a: "1" })).toBe(kept);
  expect(counters.with({ a: "1", b: undefined })).not.toBe(counters.with({ a: "1", b: "" }));
  counters.with({ a: "2", b: "1" }).inc();
  counters.remove({ a: "1" });
  kept.inc(); // unseen: it is no longer part of the family
  expect((await expose(registry)).find("x_total")).toEqual([{ name: "x_total", labels: { a: "2", b: "1" }, value: 1 }]);
});

test("families refresh before they are read; one without labels has its series at once", async () => {
  const registry = createMetricsRegistry();
  let level = 1;
  const gauges = createGauges({ registry, name: "level", help: "x" });
  expect(createGauges({ registry, name: "level", help: "x" })).toBe(gauges); // whoever comes second counts in the same
  const reading = gauges.onRead(() => gauges.with({}).set(level));
  createHistograms({ registry, name: "h", help: "x", buckets: [1] });
  expect((await expose(registry)).value("level")).toBe(1);
  level = 2;
  const exposed = await expose(registry);
  expect(exposed.value("level")).toBe(2);
  reading[Symbol.dispose]();
  level = 3;
  expect((await expose(registry)).value("level")).toBe(2);
  expect(exposed.find("h_count")).toHaveLength(1);
});

test("the event loop's delay shows a stall, keeps its sum over windows, and stops with its last watcher", async () => {
  const registry = createMetricsRegistry();
  let now = 0;
  const delay = createEventLoopDelay(registry, () => now);
  const name = "dynamo_event_loop_delay_seconds";
  expect((await expose(registry)).find(`${name}_count`)).toEqual([]);
  const [first, second] = [delay.watch(), delay.watch()];
  await eventually("the first measurement", async () => (await expose(registry)).value(`${name}_count`) > 0);
  const until = performance.now() + 1_500;
  while (performance.now() < until); // the stall
  const stalled = await eventually("the stall being seen", async () => {
    const exposed = await expose(registry);
    return exposed.value(`${name}_sum`) > 1.4 && exposed;
  });
  expect(stalled.value(name, { quantile: "0.99" })).toBeGreaterThan(1.4);
  now = 60_000;
  const last = await expose(registry);
  await eventually("a new window", async () => (await expose(registry)).find(name).length > 0);
  const next = await expose(registry);
  expect(next.value(name, { quantile: "0.99" })).toBeLessThan(1.4);
  expect(next.value(`${name}_sum`)).toBeGreaterThanOrEqual(last.value(`${name}_sum`));
  expect(next.value(`${name}_count`)).toBeGreaterThan(last.value(`${name}_count`));
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  expect((await expose(registry)).find(name)).not.toEqual([]);
  second[Symbol.dispose]();
  expect((await expose(registry)).find(name)).toEqual([]);
});
