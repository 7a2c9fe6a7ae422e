/** A request on its way through the router, and what is known of each attempt: the one place where its facts are kept. */
import type { Instance } from "../discovery/instance.ts";
import type { RuntimeError } from "../errors.ts";
import type { Identity } from "../trace/identity.ts";
import type { RequestHeaders } from "../trace/request-headers.ts";
import type { Trailer } from "../wire/endings.ts";
import type { Retrying } from "./retry.ts";
import type { AttemptOutcome } from "./attempt-outcome.ts";
import type { Upload } from "./upload.ts";

/** One request on its way through the attempts. The same object tells afterwards how it went. */
export interface RoutedRequest {
  /** An interceptor may give it another baggage, before the first attempt. */
  identity: Identity;
  /** True if the identity's span was made for this call, below the span of the program that makes it: it is recorded here. */
  readonly isOwnSpan: boolean;
  /** Then: the span in which the program made this call, if the log tells of it. */
  readonly callerSpanId: string | undefined;
  readonly path: string;
  /** Of a request that is sent in pieces: they. */
  upload: Upload | undefined;
  /** For the handler. */
  readonly headers: RequestHeaders | undefined;
  readonly signal: AbortSignal | undefined;
  /** Clock reading (ms, the router's `now`) after which nobody waits any more. */
  readonly deadlineAt: number | undefined;
  /** Bytes of items that may be under way. */
  readonly windowBytes: number;
  /** The one instance to ask, decimal u64; undefined = any. */
  readonly wanted: string | undefined;
  /** Requests with the same one go to the same instance; undefined = any, as the policy says. */
  readonly affinityKey: string | undefined;
  /** Instances to choose from, asked anew for every attempt. */
  candidates(): readonly Instance[];
  readonly retry: Retrying;
  /** The payload for what is left after everything that has been delivered; undefined if that cannot be asked for. */
  resume?(): Uint8Array | undefined;
  /** Filled in: one report per attempt, in order. */
  readonly reports: AttemptReport[];
  /** Filled in: attempts at another instance before an item had been delivered. */
  retries: number;
  /** Filled in: attempts at another instance for the rest of an answer. */
  resumptions: number;
}

/** How one attempt goes: written by the attempt while it runs, for those who keep records of requests. */
export interface AttemptReport {
  /** From 0. */
  readonly number: number;
  /** Decimal u64 of the instance. */
  readonly instanceId: string;
  readonly spanId: string;
  /** The runtime's clock (`performance.now()`), ms. */
  readonly startedAt: number;
  /** Undefined while it runs. */
  endedAt: number | undefined;
  /** False as long as nothing was sent: the worker knows nothing of it then. */
  isSent: boolean;
  /** Undefined while it runs. */
  outcome: AttemptOutcome | undefined;
  /** Why it did not go well. */
  failure: RuntimeError | undefined;
  /** What the worker reported at the end; empty before, and from one that never answered. */
  trailer: Partial<Trailer>;
}
