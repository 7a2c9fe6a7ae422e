/** Keeps the record of an inference request and tells those who read it, each on its own: one that fails is heard of in the log, and ends nothing. */
import type { RuntimeError } from "@dyn/runtime";
import { RequestFault, type Exchange, type Logger } from "@dyn/runtime/internal";
import type { Usage } from "@dyn/runtime/llm";
import type { History } from "@dyn/lineage";
import type { FrontendMetrics } from "./metrics.ts";
import { createLines, toBoundFields } from "./request-lines.ts";
import type { RequestMeter } from "./request-meter.ts";
import { RequestRecord, type RequestReader } from "./request-record.ts";
import { describeRequest } from "./request-span.ts";

/** What an inference request is, as far as it is known when its first line is written. */
export interface RequestKind {
  /** `chat_completions`, … */
  readonly endpoint: string;
  readonly requestType: "unary" | "stream";
  /** The name the client asked for; undefined if the body could not be read. */
  readonly modelAsked: string | undefined;
  /** True if that model is registered: only then is the name a metric label. */
  readonly isKnown: boolean;
  /** As of `RequestStart`. */
  readonly isTokenless?: boolean;
  /** It is refused, and its lines are summed up with those of others. Default: those of strangers, and of what is no HTTP, unless a key came with it. */
  readonly isSummed?: boolean;
}

export interface RequestLogOptions {
  /** Counts it; undefined = nothing is generated, and it would only change the times of those for which something is. */
  readonly metrics: FrontendMetrics | undefined;
  /** Monotonic clock, ms. */
  readonly now: () => number;
  /** Remembers requests for those who ask; undefined = off. */
  readonly history: History | undefined;
}

/** Write `request received`; disposing writes `request completed`. */
export function beginRequestLog(exchange: Exchange, kind: RequestKind, options: RequestLogOptions): RequestLog {
  const { identity, startedAt, request, caller, span } = exchange;
  const { method, url: uri } = request;
  const owner = caller.apiKey?.hash;
  const { now } = options;
  const parsedAt = span ? now() : startedAt;
  return new RequestLog(new RequestRecord({ identity, method, uri, owner, ...kind, startedAt, parsedAt }, now), {
    exchange,
    isSummed: kind.isSummed ?? isUnknown(exchange),
    ...options,
  });
}

// Refused, and nobody we know.
function isUnknown({ caller, rejection }: Exchange): boolean {
  return caller.isStranger || (rejection instanceof RequestFault && !caller.hasKey);
}

interface RequestLogParts extends RequestLogOptions {
  readonly exchange: Exchange;
  readonly isSummed: boolean;
}

/** One request's record, and those who read it. Disposing it ends the request, once. */
export class RequestLog implements Disposable {
  readonly record: RequestRecord;
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #readers: RequestReader[] = [];
  readonly #meter: RequestMeter | undefined;

  constructor(record: RequestRecord, { exchange, isSummed, metrics, history, now }: RequestLogParts) {
    const { caller, span } = exchange;
    this.record = record;
    this.#now = now;
    this.#log = exchange.log.child({
      target: "dyn_frontend::request_log",
      fields: toBoundFields(record, caller.apiKey?.name),
    });
    this.#open(() => createLines(this.#log, isSummed ? record.start.endpoint : undefined));
    // Strangers would push out those of clients, and nobody but an operator could ask for theirs.
    if (history && !caller.isStranger) this.#open(() => openHistory(history, record));
    this.#meter = metrics && this.#open(() => metrics.begin(record));
    if (span) this.#readers.push({ ended: () => span.complete((it) => describeRequest(it, record)) });
  }

  /** Tokens have come, or none, and the usage as far as the worker has told it. */
  received(tokens: number, usage: Partial<Usage> | undefined, at: number): void {
    this.record.usage = usage;
    if (tokens === 0) return;
    const betweenMs = this.record.clock.add(tokens, at);
    try {
      this.#meter?.tokens(tokens, betweenMs);
    } catch (error) {
      this.#tellFault(error);
    }
  }

  /** How it ended, if not well. The last word counts; without any, the request succeeded. */
  fail(error: RuntimeError): void {
    this.record.failure = error;
  }

  /** The answer's headers are out. */
  responded(status: number): void {
    this.record.httpStatus = status;
    this.record.respondedAt = this.#now();
    for (const reader of this.#readers) this.#tell(() => reader.responded?.(this.record));
  }

  /** The body of a stream is over, having taken so many bytes. */
  streamed(bytes: number): void {
    this.record.streamedBytes = bytes;
  }

  [Symbol.dispose](): void {
    if (this.record.endedAt !== undefined) return;
    this.record.endedAt = this.#now();
    for (const reader of this.#readers) this.#tell(() => reader.ended(this.record));
  }

  #open<Reader extends RequestReader>(open: () => Reader): Reader | undefined {
    const reader = this.#tell(open);
    if (reader) this.#readers.push(reader);
    return reader;
  }

  #tell<Result>(work: () => Result): Result | undefined {
    try {
      return work();
    } catch (error) {
      return this.#tellFault(error);
    }
  }

  #tellFault(error: unknown): undefined {
    this.#log.summed("error", { error }, "a reader of a request's facts failed, the request goes on");
  }
}

function openHistory(history: History, record: RequestRecord): RequestReader {
  history.begin(record);
  return { ended: () => history.end(record) };
}
