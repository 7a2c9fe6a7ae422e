/** Counts one inference request, from its arrival to its end. Each batch of tokens costs a few additions. */
import type { TraceContext } from "@dyn/runtime";
import { isSampled, type Gauge } from "@dyn/runtime/internal";
import type { ModelSeries, RouteSeries } from "./model-series.ts";
import type { RequestRecord } from "./request-record.ts";

/** Holds the series of a request; what it counts is in the record. */
export class RequestMeter {
  readonly #series: ModelSeries;
  readonly #route: RouteSeries;
  readonly #disconnected: Gauge;
  readonly #record: RequestRecord;
  /** Of the request's span: exemplars point to it if it is sampled. */
  readonly #trace: TraceContext | undefined;

  constructor(series: ModelSeries, disconnected: Gauge, record: RequestRecord) {
    const { endpoint, requestType, identity } = record.start;
    this.#series = series;
    this.#route = series.route(endpoint, requestType);
    this.#disconnected = disconnected;
    this.#record = record;
    this.#trace = isSampled(identity.trace) ? identity.trace : undefined;
    this.#route.started.inc();
    series.active.inc();
    series.inflight.inc();
    series.queued.inc();
  }

  /** So many have arrived together, at least one, and are in the record; `betweenMs` undefined = the first. */
  tokens(count: number, betweenMs: number | undefined): void {
    const series = this.#series;
    series.outputTokensTotal.inc(count);
    if (betweenMs !== undefined) return series.histogram("itl").observe(betweenMs / 1000, count);
    const seconds = (this.#record.clock.ttftMs ?? 0) / 1000;
    const ttft = series.histogram("ttft");
    series.queued.dec();
    ttft.observe(seconds);
    if (this.#trace) ttft.mark(seconds, this.#trace);
  }

  /** Once, on every way out. */
  ended({ clock, endedAt = clock.startedAt, failure }: RequestRecord): void {
    const series = this.#series;
    const seconds = (endedAt - clock.startedAt) / 1000;
    series.active.dec();
    series.inflight.dec();
    if (clock.count === 0) series.queued.dec();
    series.duration.observe(seconds);
    if (this.#trace) series.duration.mark(seconds, this.#trace);
    if (this.#trace && clock.slowestMs > 0) series.histogram("itl").mark(clock.slowestMs / 1000, this.#trace);
    this.#answered();
    this.#route.ended(failure?.traits.metric).inc();
    if (failure?.code === "overloaded") this.#route.rejections.inc();
    if (failure?.code !== "cancelled") return;
    this.#disconnected.inc();
    this.#route.cancellations.inc();
  }

  #answered(): void {
    const series = this.#series;
    const { clock, inputTokens, cachedTokens, outputTokens, retries, resumptions } = this.#record;
    if (inputTokens !== undefined) series.histogram("inputTokens").observe(inputTokens);
    if (cachedTokens !== undefined) series.histogram("cachedTokens").observe(cachedTokens);
    if (outputTokens > 0) series.histogram("outputTokens").observe(outputTokens);
    if (outputTokens > clock.count) series.outputTokensTotal.inc(outputTokens - clock.count); // the engine counts more than deltas show
    if (retries > 0) series.retries.inc(retries);
    if (resumptions > 0) series.resumptions.inc(resumptions);
  }
}
