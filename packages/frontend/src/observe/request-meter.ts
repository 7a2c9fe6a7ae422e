/** Counts one inference request, from its arrival to its end. Each batch of tokens costs a few additions. */
import type { RuntimeError, TraceContext } from "@dyn/runtime";
import { isSampled, type Gauge } from "@dyn/runtime/internal";
import type { ModelSeries, RequestType, RouteSeries } from "./model-series.ts";

export interface MeteredRequest {
  readonly endpoint: string;
  readonly requestType: RequestType;
  /** Of the request's span; exemplars point to it if it is sampled. */
  readonly trace: TraceContext;
  /** Monotonic clock, ms. */
  readonly startedAt: number;
}

/** What is known when a request is over. */
export interface MeteredEnd {
  /** Monotonic clock, ms. */
  readonly endedAt: number;
  readonly failure: RuntimeError | undefined;
  /** The client left before the end. */
  readonly isDisconnected: boolean;
}

/** What the answer came to. */
export interface MeteredAnswer {
  readonly inputTokens: number | undefined;
  readonly cachedTokens: number | undefined;
  readonly outputTokens: number;
  /** Attempts at another instance before anything was delivered, and after. */
  readonly retries: number;
  readonly resumptions: number;
}

export class RequestMeter {
  #series: ModelSeries;
  #route: RouteSeries;
  #disconnected: Gauge;
  #startedAt: number;
  #trace: TraceContext | undefined;
  #tokens = 0;
  #lastTokenAt: number | undefined;
  #slowestSeconds = 0;

  constructor(series: ModelSeries, disconnected: Gauge, { endpoint, requestType, trace, startedAt }: MeteredRequest) {
    this.#series = series;
    this.#route = series.route(endpoint, requestType);
    this.#disconnected = disconnected;
    this.#startedAt = startedAt;
    this.#trace = isSampled(trace) ? trace : undefined;
    this.#route.started.inc();
    series.active.inc();
    series.inflight.inc();
    series.queued.inc();
  }

  /** `count` tokens, at least one, have arrived together. The time to the first of them is no time between tokens. */
  tokens(count: number, at: number): void {
    const series = this.#series;
    series.outputTokensTotal.inc(count);
    this.#tokens += count;
    if (this.#lastTokenAt === undefined) {
      const seconds = (at - this.#startedAt) / 1000;
      const ttft = series.histogram("ttft");
      series.queued.dec();
      ttft.observe(seconds);
      if (this.#trace) ttft.mark(seconds, this.#trace);
    } else {
      const seconds = (at - this.#lastTokenAt) / 1000 / count;
      series.histogram("itl").observe(seconds, count);
      if (seconds > this.#slowestSeconds) this.#slowestSeconds = seconds;
    }
    this.#lastTokenAt = at;
  }

  /** Once, on every way out. */
  finish({ endedAt, failure, isDisconnected }: MeteredEnd, answer: MeteredAnswer): void {
    const series = this.#series;
    const seconds = (endedAt - this.#startedAt) / 1000;
    series.active.dec();
    series.inflight.dec();
    if (this.#lastTokenAt === undefined) series.queued.dec();
    series.duration.observe(seconds);
    if (this.#trace) series.duration.mark(seconds, this.#trace);
    if (this.#trace && this.#slowestSeconds > 0) series.histogram("itl").mark(this.#slowestSeconds, this.#trace);
    this.#answered(answer);
    if (isDisconnected) this.#disconnected.inc();
    this.#route.ended(failure?.traits.metric).inc();
    if (failure?.code === "cancelled") this.#route.cancellations.inc();
    if (failure?.code === "overloaded") this.#route.rejections.inc();
  }

  #answered({ inputTokens, cachedTokens, outputTokens, retries, resumptions }: MeteredAnswer): void {
    const series = this.#series;
    if (inputTokens !== undefined) series.histogram("inputTokens").observe(inputTokens);
    if (cachedTokens !== undefined) series.histogram("cachedTokens").observe(cachedTokens);
    if (outputTokens > 0) series.histogram("outputTokens").observe(outputTokens);
    if (outputTokens > this.#tokens) series.outputTokensTotal.inc(outputTokens - this.#tokens); // the engine counts more than deltas show
    if (retries > 0) series.retries.inc(retries);
    if (resumptions > 0) series.resumptions.inc(resumptions);
  }
}
