/** The pair of lifecycle lines of an inference request, and its metrics: written once, on every way out. */
import type { Fields, Logger, RuntimeError } from "@dyn/runtime";
import type { Exchange } from "./exchange.ts";
import type { FrontendMetrics } from "./metrics.ts";

/** What an inference request is, as far as it is known when its first line is written. */
export interface RequestFacts {
  /** `chat_completions`, … */
  readonly endpoint: string;
  readonly requestType: "unary" | "stream";
  /** The name the client asked for; undefined if the body could not be read. */
  readonly modelRequested: string | undefined;
  /** True if that model is registered: only then is the name a metric label. */
  readonly isKnown: boolean;
}

/** Filled in while the answer is on its way; read when it is over. */
export interface RequestProgress {
  inputTokens: number | undefined;
  outputTokens: number;
  firstTokenAt: number | undefined;
  lastTokenAt: number | undefined;
  workerId: string | undefined;
  /** The worker of the prompt, if that was another's work. */
  prefillWorkerId: string | undefined;
  attempts: number;
}

export interface RequestLog extends Disposable {
  readonly progress: RequestProgress;
  /** How it ended, if not well. The last word counts; without any, the request succeeded. */
  fail(error: RuntimeError): void;
  /** The answer's headers are out. */
  responded(status: number): void;
  /** The body of a stream is over, having taken so many bytes. */
  streamed(bytes: number): void;
}

export interface RequestLogOptions {
  readonly metrics: FrontendMetrics;
  readonly now: () => number;
}

const unknownModel = "unknown_model";

function roundMs(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/** Write `request received`; disposing writes `request completed`. */
export function beginRequestLog(exchange: Exchange, facts: RequestFacts, { metrics, now }: RequestLogOptions): RequestLog {
  const { endpoint, requestType: request_type, modelRequested, isKnown } = facts;
  const model = isKnown && modelRequested !== undefined ? modelRequested : unknownModel;
  const log = exchange.log.child({
    target: "dyn_frontend::request_log",
    fields: { endpoint, model, request_type, ...(isKnown ? {} : { model_requested: modelRequested?.slice(0, 256) }) },
  });
  const progress: RequestProgress = {
    inputTokens: undefined,
    outputTokens: 0,
    firstTokenAt: undefined,
    lastTokenAt: undefined,
    workerId: undefined,
    prefillWorkerId: undefined,
    attempts: 0,
  };
  let failure: RuntimeError | undefined;
  let streamedBytes: number | undefined;
  metrics.started.inc({ model, endpoint, request_type });
  metrics.active.inc({ model });
  log.info({}, "request received");
  return {
    progress,
    fail(error) {
      failure = error;
    },
    responded(status) {
      const fields = { status, latency_ms: roundMs(now() - exchange.startedAt) };
      if (status < 400) log.info(fields, "http response sent");
      else log.error(fields, "http response sent");
    },
    streamed(bytes) {
      streamedBytes = bytes;
    },
    [Symbol.dispose]() {
      const elapsedMs = now() - exchange.startedAt;
      const status = failure === undefined ? "success" : "error";
      const outcome = failure?.code === "cancelled" ? "cancelled" : status;
      const elapsed_ms = roundMs(elapsedMs);
      if (streamedBytes !== undefined) log.info({ bytes: streamedBytes, elapsed_ms, outcome }, "http response finished");
      const measured = measure(progress, exchange.startedAt);
      logCompletion(log, { ...measured, elapsed_ms, status: outcome }, failure);
      metrics.active.dec({ model });
      metrics.requests.inc({ model, endpoint, request_type, status, error_type: failure?.traits.metric ?? "" });
      metrics.duration.observe({ model }, elapsedMs / 1000);
      observe(metrics, model, progress, measured);
    },
  };
}

function logCompletion(log: Logger, fields: Fields, failure: RuntimeError | undefined): void {
  if (!failure) return log.info(fields, "request completed");
  const error = { ...fields, error_type: failure.traits.metric, error_detail: failure.traits.detail, error: failure.message };
  if (failure.code === "cancelled") log.info(error, "request completed");
  else log.error(error, "request completed");
}

interface Measured {
  readonly attempts: number;
  readonly input_tokens?: number;
  readonly output_tokens: number;
  readonly ttft_ms?: number;
  readonly avg_itl_ms?: number;
  readonly worker_id?: string;
  readonly prefill_worker_id?: string;
  readonly decode_worker_id?: string;
}

function measure(progress: RequestProgress, startedAt: number): Measured {
  const { inputTokens, outputTokens, firstTokenAt, lastTokenAt, workerId, prefillWorkerId = workerId, attempts } = progress;
  const itlMs =
    firstTokenAt !== undefined && lastTokenAt !== undefined && outputTokens > 1 ? (lastTokenAt - firstTokenAt) / (outputTokens - 1) : undefined;
  return {
    attempts,
    output_tokens: outputTokens,
    ...(inputTokens !== undefined && { input_tokens: inputTokens }),
    ...(firstTokenAt !== undefined && { ttft_ms: roundMs(firstTokenAt - startedAt) }),
    ...(itlMs !== undefined && { avg_itl_ms: roundMs(itlMs) }),
    ...(prefillWorkerId !== undefined && { prefill_worker_id: prefillWorkerId }),
    ...(workerId !== undefined && { worker_id: workerId, decode_worker_id: workerId }),
  };
}

function observe(metrics: FrontendMetrics, model: string, { inputTokens, outputTokens }: RequestProgress, { ttft_ms, avg_itl_ms }: Measured): void {
  if (inputTokens !== undefined) metrics.inputTokens.observe({ model }, inputTokens);
  if (outputTokens > 0) {
    metrics.outputTokens.observe({ model }, outputTokens);
    metrics.outputTokensTotal.inc({ model }, outputTokens);
  }
  if (ttft_ms !== undefined) metrics.ttft.observe({ model }, ttft_ms / 1000);
  if (avg_itl_ms !== undefined) metrics.itl.observe({ model }, avg_itl_ms / 1000);
}
