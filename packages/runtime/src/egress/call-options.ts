/** What can be said of one request. */
import type { RetryPolicy } from "./retry.ts";
import { refuseStrangers, type OptionNames } from "../settings/options.ts";
import type { Identity } from "../trace/identity.ts";
import type { RequestHeaders } from "../trace/request-headers.ts";

/** Of one request, whatever its answer is. */
export interface CallOptions {
  /** Cancels the request; the worker's signal aborts too. Default: only leaving the answer does. */
  readonly signal?: AbortSignal;
  /** Ours: a UUID. Default: a new one. */
  readonly requestId?: string;
  /** The client's own id, visible ASCII, at most 256 characters. Default: none. */
  readonly xRequestId?: string;
  /** W3C header of the caller's span. Default: with trace export on the span active in `@opentelemetry/api`, else a new trace. */
  readonly traceparent?: string;
  /** W3C header that goes with `traceparent`. Default: none. */
  readonly tracestate?: string;
  /** W3C baggage for the worker's handler. Default: none. */
  readonly baggage?: string;
  /** For the handler, which finds them in its context: at most 32, names and values together at most 8192 bytes. Default: none. */
  readonly headers?: RequestHeaders;
  /** All ids above at once, as a frontend has them. Default: made of the others. */
  readonly identity?: Identity;
  /** The one instance to ask, decimal u64: it answers, or nobody does, whatever the policy. Default: any, by the policy; `direct` needs it. */
  readonly instanceId?: string;
  /** Requests with the same key go to the same instance, whatever the policy but `direct`, as long as that has no more than 1.25 times its share. Default: as the policy says. */
  readonly key?: string;
  /** Time the answer may take in all, a whole number of ms from 1 to 2³¹−1. Travels to the worker. Default: no limit. */
  readonly timeoutMs?: number;
  /** Reading of `performance.now()` after which nobody waits any more, ms: it travels to the worker, whoever asks keeps it with `signal`. Default: none. */
  readonly deadlineAt?: number;
  /** Bytes of items that may be under way, from 1 to 2³¹−1: a reader that is slow holds as much. Default 262144. */
  readonly windowBytes?: number;
  /** When another instance is tried after a failure, for this request. Default: as the client has it. */
  readonly retry?: RetryPolicy | false;
  /** Within a handler of the same runtime: what is not said here is as in the request that it serves, and the earlier deadline and any cancellation hold. Default: as the client has it. */
  readonly inherit?: boolean;
}

export interface GenerateOptions extends CallOptions {
  /** Asked when a worker fails after it has delivered items, all of which have been read: the request for the rest, which another worker gets.
   *  Undefined = it cannot be continued, and the answer fails. Default: it cannot. */
  readonly resume?: () => unknown;
}

const names: Required<OptionNames<GenerateOptions>> = {
  signal: true,
  requestId: true,
  xRequestId: true,
  traceparent: true,
  tracestate: true,
  baggage: true,
  headers: true,
  identity: true,
  instanceId: true,
  key: true,
  timeoutMs: true,
  deadlineAt: true,
  windowBytes: true,
  retry: true,
  inherit: true,
  resume: true,
};

/** @throws RuntimeError `invalid_argument` naming an option that is none. */
export function refuseUnknown(options: GenerateOptions): void {
  refuseStrangers(options, names);
}
