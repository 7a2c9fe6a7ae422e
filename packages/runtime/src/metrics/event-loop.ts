/** How late the event loop runs: a timer in C++ that costs JavaScript nothing until somebody looks. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { once } from "../lifetime.ts";
import { Family, type Reading } from "./family.ts";
import type { MetricsRegistry } from "./registry.ts";

type IntervalHistogram = ReturnType<typeof monitorEventLoopDelay>;

const resolutionMs = 10;
const windowMs = 60_000;
const quantiles = [0.5, 0.9, 0.99];

/** Nothing is measured while nobody watches. */
export interface EventLoopDelay {
  /** Measure until disposed. Several may watch; the last one stops it. */
  watch(): Disposable;
}

class Delay {
  #monitor: IntervalHistogram | undefined;
  #since = 0;
  // Of windows that are over.
  #sum = 0;
  #count = 0;

  start(now: number): void {
    this.#monitor = monitorEventLoopDelay({ resolution: resolutionMs });
    this.#monitor.enable();
    this.#since = now;
  }

  stop(): void {
    if (!this.#monitor) return;
    this.#monitor.disable();
    this.#fold(this.#monitor);
    this.#monitor = undefined;
  }

  *read(now: number): Generator<Reading, void, void> {
    const monitor = this.#monitor;
    if (!monitor || monitor.count === 0) return;
    for (const quantile of quantiles)
      yield { suffix: "", labels: { quantile }, value: toDelaySeconds(monitor.percentile(quantile * 100)) };
    yield { suffix: "_sum", value: this.#sum + toDelaySeconds(monitor.mean) * monitor.count };
    yield { suffix: "_count", value: this.#count + monitor.count };
    if (now - this.#since < windowMs) return;
    this.#fold(monitor);
    this.#since = now;
  }

  #fold(monitor: IntervalHistogram): void {
    if (monitor.count > 0) this.#sum += toDelaySeconds(monitor.mean) * monitor.count;
    this.#count += monitor.count;
    monitor.reset();
  }
}

// The monitor measures from one run of its timer to the next.
function toDelaySeconds(intervalNs: number): number {
  return Math.max(0, intervalNs / 1e9 - resolutionMs / 1e3);
}

/** Register the summary; it stays empty while nobody watches. */
export function createEventLoopDelay(
  registry: MetricsRegistry,
  now: () => number = () => performance.now(),
): EventLoopDelay {
  const help = "How much later than planned the event loop runs its timers; quantiles over about the last minute";
  const family = new Family<never, Delay>(
    { registry, name: "dynamo_event_loop_delay_seconds", help },
    { type: "summary", create: () => new Delay(), read: (delay) => delay.read(now()) },
  );
  const delay = family.with({});
  let watchers = 0;
  return {
    watch() {
      watchers += 1;
      if (watchers === 1) delay.start(now());
      const leave = once(() => {
        watchers -= 1;
        if (watchers === 0) delay.stop();
      });
      return { [Symbol.dispose]: leave };
    },
  };
}
