/** What is counted: one series each. Counting is an addition; no label is looked at. */

/** The span an exemplar points to. */
export interface TraceRef {
  readonly traceId: string;
  readonly spanId: string;
}

/** One observation that is shown beside a bucket, with its trace. */
export interface Exemplar {
  readonly trace: TraceRef;
  readonly value: number;
  /** Unix time, s. */
  readonly at: number;
}

/** Only goes up. */
export class Counter {
  value = 0;

  inc(by = 1): void {
    this.value += by;
  }
}

/** Goes up and down. */
export class Gauge {
  value = 0;

  set(value: number): void {
    this.value = value;
  }

  inc(by = 1): void {
    this.value += by;
  }

  dec(by = 1): void {
    this.value -= by;
  }
}

/** Counts per bucket. Bounds are inclusive and ascending; what passes the last one has a bucket of its own. */
export class Histogram {
  readonly bounds: readonly number[];
  /** Not cumulative; one more than there are bounds. */
  readonly counts: Float64Array;
  /** The latest of each bucket. */
  readonly exemplars: (Exemplar | undefined)[];
  sum = 0;
  #wallClock: () => number;

  constructor(bounds: readonly number[], wallClock: () => number) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
    this.exemplars = Array.from({ length: bounds.length + 1 });
    this.#wallClock = wallClock;
  }

  /** `times` equal observations at once. */
  observe(value: number, times = 1): void {
    const bucket = this.#bucketOf(value);
    this.counts[bucket] = (this.counts[bucket] ?? 0) + times;
    this.sum += value * times;
  }

  /** Remember whose observation `value` was. It counts nothing. */
  mark(value: number, trace: TraceRef): void {
    this.exemplars[this.#bucketOf(value)] = { trace, value, at: this.#wallClock() / 1000 };
  }

  #bucketOf(value: number): number {
    const { bounds } = this;
    let bucket = 0;
    while (bucket < bounds.length && !(value <= (bounds[bucket] ?? 0))) bucket += 1;
    return bucket;
  }
}
