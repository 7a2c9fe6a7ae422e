/** The queue between spans and their exporter: the SDK's batches, with what is lost counted and said. */
import { TraceFlags, type Context } from "@opentelemetry/api";
import { ExportResultCode } from "@opentelemetry/core";
import {
  BatchSpanProcessor,
  type ReadableSpan,
  type Span,
  type SpanExporter,
  type SpanProcessor,
} from "@opentelemetry/sdk-trace";
import type { Logger } from "../logging/logger.ts";

/** Limits of the queue. Times are ms. */
export interface SpanQueueOptions {
  readonly exporter: SpanExporter;
  /** Spans that may wait; further ones are dropped. */
  readonly maxQueueSize: number;
  readonly maxBatchSize: number;
  readonly scheduleDelayMs: number;
  readonly log: Logger;
  /** Monotonic clock, ms. */
  readonly now: () => number;
}

const sayEveryMs = 30_000;

/** Says what is lost at most twice a minute, and the total at the end: a dead collector must not fill the log. */
export class SpanQueue implements SpanProcessor {
  #batches: BatchSpanProcessor;
  #exporter: SpanExporter;
  #maxQueueSize: number;
  #log: Logger;
  #now: () => number;
  #waiting = 0;
  #lost = 0;
  #unsaid = 0;
  #saidAt = Number.NEGATIVE_INFINITY;

  constructor({ exporter, maxQueueSize, maxBatchSize, scheduleDelayMs, log, now }: SpanQueueOptions) {
    this.#exporter = exporter;
    this.#maxQueueSize = maxQueueSize;
    this.#log = log;
    this.#now = now;
    const watched: SpanExporter = {
      export: (spans, done) => this.#export(spans, done),
      shutdown: () => exporter.shutdown(),
    };
    const maxExportBatchSize = Math.min(maxBatchSize, maxQueueSize);
    this.#batches = new BatchSpanProcessor({
      exporter: watched,
      maxQueueSize,
      maxExportBatchSize,
      scheduledDelayMillis: scheduleDelayMs,
    });
  }

  onStart(span: Span, parent: Context): void {
    this.#batches.onStart(span, parent);
  }

  onEnd(span: ReadableSpan): void {
    if ((span.spanContext().traceFlags & TraceFlags.SAMPLED) === 0) return;
    if (this.#waiting >= this.#maxQueueSize) return this.#lose(1, "the queue of spans is full");
    this.#waiting += 1;
    this.#batches.onEnd(span);
  }

  forceFlush(): Promise<void> {
    return this.#batches.forceFlush();
  }

  async shutdown(): Promise<void> {
    await this.#batches.shutdown();
  }

  /** Spans that never reached the collector, those still waiting included. */
  get missing(): number {
    return this.#lost + this.#waiting;
  }

  #export(spans: ReadableSpan[], done: Parameters<SpanExporter["export"]>[1]): void {
    const settle: typeof done = (result) => {
      this.#waiting -= spans.length;
      if (result.code !== ExportResultCode.SUCCESS)
        this.#lose(spans.length, result.error?.message ?? "no reason given");
      done(result);
    };
    try {
      this.#exporter.export(spans, settle);
    } catch (error) {
      // Their places would stay taken, and the queue be full one day.
      settle({ code: ExportResultCode.FAILED, error: error instanceof Error ? error : new Error(String(error)) });
    }
  }

  #lose(count: number, error: string): void {
    this.#lost += count;
    this.#unsaid += count;
    if (this.#now() - this.#saidAt < sayEveryMs) return;
    this.#log.warn({ lost_spans: this.#unsaid, error }, "spans lost");
    this.#saidAt = this.#now();
    this.#unsaid = 0;
  }
}
