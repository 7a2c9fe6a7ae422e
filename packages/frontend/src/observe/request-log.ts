/** The pair of lifecycle lines of an inference request, and its metrics: written once, on every way out. */
import type { AttemptReport, Fields, Logger, RuntimeError } from "@dyn/runtime";
import type { FinishReason } from "@dyn/runtime/llm";
import { type Exchange, RequestFault } from "@dyn/runtime/internal";
import type { History, RequestStart } from "@dyn/lineage";
import { unknownModel, type FrontendMetrics } from "./metrics.ts";
import type { RequestMeter } from "./request-meter.ts";
import { describeRequest } from "./request-span.ts";

/** What an inference request is, as far as it is known when its first line is written. */
export interface RequestFacts {
  /** `chat_completions`, … */
  readonly endpoint: string;
  readonly requestType: "unary" | "stream";
  /** The name the client asked for; undefined if the body could not be read. */
  readonly modelRequested: string | undefined;
  /** True if that model is registered: only then is the name a metric label. */
  readonly isKnown: boolean;
  /** It is refused, and its lines are summed up with those of others. Default: those of strangers, and of what is no HTTP, unless a key came with it. */
  readonly isSummed?: boolean;
}

/** Filled in while the answer is on its way; read when it is over. */
export interface RequestProgress {
  inputTokens: number | undefined;
  outputTokens: number;
  firstTokenAt: number | undefined;
  lastTokenAt: number | undefined;
  /** The last attempt at a worker that answers. */
  attempt: Readonly<AttemptReport> | undefined;
  /** The last one at a worker of the prompt, if that is another's work. */
  prefillAttempt: Readonly<AttemptReport> | undefined;
  attempts: number;
  /** Attempts at another instance before anything was delivered. */
  retries: number;
  /** Attempts at another instance after something was delivered. */
  resumptions: number;
  /** Of the prompt, found in a prefix cache. */
  cachedTokens: number | undefined;
  readonly meter: RequestMeter;
  /** Attempts, one list per worker asked: a prefill worker and then the one that answers. */
  readonly routes: (readonly Readonly<AttemptReport>[])[];
  /** Of the choices, each once. Only with a span, which has them. */
  finishReasons: readonly FinishReason[];
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
  /** Remembers requests for those who ask; undefined = off. */
  readonly history: History | undefined;
}

function roundMs(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/** Write `request received`; disposing writes `request completed`. */
export function beginRequestLog(
  exchange: Exchange,
  facts: RequestFacts,
  { metrics, now, history }: RequestLogOptions,
): RequestLog {
  const { endpoint, requestType: request_type, modelRequested, isKnown } = facts;
  const registered = isKnown ? modelRequested : undefined;
  const model = registered ?? unknownModel;
  const { apiKey } = exchange.caller;
  const named: Fields = {
    ...(isKnown ? {} : { model_requested: modelRequested }),
    ...(apiKey && { api_key: apiKey.name }),
  };
  const fields: Fields = { endpoint, model, request_type, ...named };
  const log = exchange.log.child({ target: "dyn_frontend::request_log", fields });
  const progress: RequestProgress = {
    inputTokens: undefined,
    outputTokens: 0,
    firstTokenAt: undefined,
    lastTokenAt: undefined,
    attempt: undefined,
    prefillAttempt: undefined,
    attempts: 0,
    retries: 0,
    resumptions: 0,
    cachedTokens: undefined,
    meter: metrics.begin(registered, {
      endpoint,
      requestType: request_type,
      trace: exchange.identity.trace,
      startedAt: exchange.startedAt,
    }),
    routes: [],
    finishReasons: [],
  };
  const parsedAt = exchange.span ? now() : 0;
  let failure: RuntimeError | undefined;
  let streamedBytes: number | undefined;
  // Strangers would push out those of clients, and nobody but an operator could ask for theirs.
  const record = exchange.caller.isStranger ? undefined : history?.begin(toStart(exchange, fields, progress));
  const lines = createLines(log, (facts.isSummed ?? isSummed(exchange)) ? endpoint : undefined);
  lines.say(() => log.event("request_received", {}, "request received"));
  return {
    progress,
    fail(error) {
      failure = error;
    },
    responded(status) {
      record?.responded(status);
      const fields = { status, latency_ms: roundMs(now() - exchange.startedAt) };
      lines.say(() =>
        status < 400
          ? log.event("http_response_sent", fields, "http response sent")
          : log.error(fields, "http response sent"),
      );
    },
    streamed(bytes) {
      streamedBytes = bytes;
    },
    [Symbol.dispose]() {
      const endedAt = now();
      const status = failure === undefined ? "success" : "error";
      const outcome = failure?.code === "cancelled" ? "cancelled" : status;
      const elapsed_ms = roundMs(endedAt - exchange.startedAt);
      if (streamedBytes !== undefined)
        log.event("http_response_finished", { bytes: streamedBytes, elapsed_ms, outcome }, "http response finished");
      const measured = measure(progress, exchange.startedAt);
      const completion = toCompletion({ ...measured, ...toSpans(progress), elapsed_ms, status: outcome }, failure);
      lines.complete(completion, failure);
      record?.finish(completion, endedAt, failure);
      progress.meter.finish({ endedAt, failure, isDisconnected: failure?.code === "cancelled" }, progress);
      const { span } = exchange;
      span?.complete((it) =>
        describeRequest(it, {
          ...progress,
          fields: { ...measured, elapsed_ms, model, request_type },
          endpoint,
          modelRequested,
          parsedAt,
          failure,
        }),
      );
    },
  };
}

function toStart(
  { identity, startedAt, request, caller }: Exchange,
  fields: Fields,
  progress: RequestProgress,
): RequestStart {
  const { method, url: uri } = request;
  return {
    identity,
    owner: caller.apiKey?.hash,
    startedAt,
    fields: { ...fields, method, uri },
    routes: progress.routes,
    measure: () => ({ ...measure(progress, startedAt) }),
  };
}

// The spans above those of the workers: attempts have lines of their own only from DEBUG on. What was never sent has no worker's span below it.
function toSpans({ attempt, prefillAttempt }: RequestProgress): Fields {
  return {
    ...(attempt?.isSent && { attempt_span_id: attempt.spanId }),
    ...(prefillAttempt?.isSent && { prefill_attempt_span_id: prefillAttempt.spanId }),
  };
}

function toCompletion(fields: Fields, failure: RuntimeError | undefined): Fields {
  if (!failure) return fields;
  return { ...fields, error_type: failure.traits.metric, error_detail: failure.traits.detail, error: failure.message };
}

interface Lines {
  say(line: () => void): void;
  complete(fields: Fields, failure: RuntimeError | undefined): void;
}

// Of a request that is summed up (as one of `kind`) all wait for the last: they are written with it, or not at all.
function createLines(log: Logger, kind: string | undefined): Lines {
  const held: (() => void)[] = [];
  return {
    say(line) {
      if (kind === undefined) line();
      else held.push(line);
    },
    complete(fields, failure) {
      if (kind === undefined) return logCompletion(log, fields, failure);
      const before = (): void => held.forEach((line) => line());
      log.summed("error", fields, "request completed", { kind: `${kind} ${failure?.code}`, before });
    },
  };
}

// Refused, and nobody we know.
function isSummed({ caller, rejection }: Exchange): boolean {
  return caller.isStranger || (rejection instanceof RequestFault && !caller.hasKey);
}

function logCompletion(log: Logger, fields: Fields, failure: RuntimeError | undefined): void {
  if (!failure) log.event("request_completed", fields, "request completed");
  else if (failure.code === "cancelled") log.info(fields, "request completed");
  else log.error(fields, "request completed");
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
  const {
    inputTokens,
    outputTokens,
    firstTokenAt,
    lastTokenAt,
    attempt,
    prefillAttempt = attempt,
    attempts,
  } = progress;
  const itlMs =
    firstTokenAt !== undefined && lastTokenAt !== undefined && outputTokens > 1
      ? (lastTokenAt - firstTokenAt) / (outputTokens - 1)
      : undefined;
  return {
    attempts,
    output_tokens: outputTokens,
    ...(inputTokens !== undefined && { input_tokens: inputTokens }),
    ...(firstTokenAt !== undefined && { ttft_ms: roundMs(firstTokenAt - startedAt) }),
    ...(itlMs !== undefined && { avg_itl_ms: roundMs(itlMs) }),
    ...(prefillAttempt && { prefill_worker_id: prefillAttempt.workerId }),
    ...(attempt && { worker_id: attempt.workerId, decode_worker_id: attempt.workerId }),
  };
}
