/** What a worker's code sees: one call per request, and the facts of that request beside it. */
import { RuntimeError } from "./errors.ts";
import type { Logger as Pino } from "pino";
import type { Logger } from "./logging/logger.ts";
import type { CallScope } from "./trace/call-scope.ts";
import type { Identity } from "./trace/identity.ts";
import type { RequestHeaders } from "./trace/request-headers.ts";
import type { ResponseHeaders } from "./trace/response-headers.ts";
import type { TokenClock } from "./trace/token-clock.ts";
import type { TraceContext } from "./trace/traceparent.ts";

/** Places of a served endpoint: so many requests run at a time, or so many parts of requests. */
export interface Places {
  /** For a handler that runs several things for one request, each of which is to have a place. The first to ask is given the request's own; others wait, in turn with other requests.
   *  Dispose it when that thing has run. Resolves at once where places are not limited. Rejects with the signal's reason. */
  take(signal: AbortSignal): Promise<Disposable>;
}

/** Everything a handler may want to know besides the request itself. */
export interface RequestContext {
  /** Aborts when the client has left, the deadline has passed or a drain ran out of time. Long work must watch it. */
  readonly signal: AbortSignal;
  /** Reading of `performance.now()` after which nobody waits any more, ms; undefined = none. Calls that the handler makes have it, too. */
  readonly deadlineAt: number | undefined;
  /** Until then, ms: 0 if it is over, `Infinity` without a deadline. */
  readonly timeLeftMs: () => number;
  /** A pino logger whose lines carry this request's ids. */
  readonly log: Pino;
  readonly requestId: string;
  readonly xRequestId?: string;
  /** W3C position of this worker's span. Calls that the handler makes with its runtime go below it by themselves; this is for others. */
  readonly traceparent: string;
  readonly tracestate?: string;
  /** The same in parts. */
  readonly trace: TraceContext;
  /** W3C baggage that the frontend let through. */
  readonly baggage?: string;
  /** Name of the API key that the frontend has accepted, as its file has it. Calls that the handler makes have it, too. */
  readonly apiKeyName?: string;
  /** All of these ids at once, as `CallOptions.identity` takes them. */
  readonly identity: Identity;
  /** Headers that the caller gave, or that the frontend let through, by their names in lower case. They go no further by themselves. */
  readonly headers: RequestHeaders;
  /** 0 for the first try of a request. */
  readonly attempt: number;
  /** How long the request waited for its place, ms: 0 if it had one at once, or places are not limited. */
  readonly queuedMs: number;
  /** How many places had to become free for it when it came: 1 = it was the next, 0 = it did not wait. */
  readonly queuePosition: number;
  /** A handler that never asks has one place for the whole request. */
  readonly places: Places;
  /** Facts of this request, for instance what a cache gave: they are on its completion line, and reach the caller at the end. Later calls win. At most 64, and 1024 characters of a text: the rest is left out. */
  readonly report: (facts: Readonly<Record<string, string | number | boolean>>) => void;
  /** Headers for the HTTP answer, also if it tells an error, of which the frontend passes those on that its `--response-headers` names; later calls add to them. A stream
   *  has those that are set before its first item. At most 32, 2048 bytes; texts of one line. @throws RuntimeError `internal` naming one that is not. */
  readonly setResponseHeaders: (headers: ResponseHeaders) => void;
}

/** Serves one request: an async generator yields its items, an async function returns the only one. Throwing ends the request with a typed error; a generator that returns ends it well. */
export type Handler<Request, Item> = (
  request: Request,
  context: RequestContext,
) => AsyncIterable<Item, void> | Promise<Item>;

/** The connection that a request came over. For tests that want it to fail: all requests on it are hit. */
export interface PeerConnection {
  /** End it after what has been sent, without a word: to the peer it is lost. */
  cut(): void;
  /** Send bytes that are no frame. */
  inject(bytes: Uint8Array): void;
}

/** What is in a context for `serveModel` and for fault injection. Handlers have no use for it, and a copy of a context keeps it: hence a symbol. */
export const workerParts: unique symbol = Symbol("worker");

export interface WorkerParts {
  /** The logger of `log`, made when it is first asked for: most handlers say nothing. */
  readonly logger: () => Logger;
  readonly connection: PeerConnection;
  /** When tokens came. Items are counted as they are sent; a handler that counts what it makes has an endpoint whose `countTokens` says 0. */
  readonly clock: TokenClock;
  /** What the calls of the handler inherit: whoever gives it a narrower context puts that there. */
  readonly scope: CallScope;
  /** Facts for the completion line alone. */
  readonly note: (facts: Readonly<Record<string, string | number | boolean>>) => void;
}

/** A context as the runtime makes it. */
export interface WorkerContext extends RequestContext {
  readonly [workerParts]: WorkerParts;
}

// One for all contexts. With a getter of its own, as in an object literal, each would have a hidden class of its own, which V8 keeps until
// its next full collection, and with it all of a request that is over.
const log = {
  enumerable: true, // a copy of a context has it, too
  get(this: WorkerContext): Pino {
    return this[workerParts].logger().pino;
  },
};

/** A context with its `log`. */
export function toContext(facts: Omit<WorkerContext, "log">): WorkerContext {
  return Object.defineProperty(facts, "log", log) as WorkerContext;
}

/** The parts of a context. @throws RuntimeError `invalid_argument` for one that no runtime has made. */
export function partsOf(context: RequestContext): WorkerParts {
  if (workerParts in context) return (context as WorkerContext)[workerParts];
  throw new RuntimeError("invalid_argument", "this context is not a runtime's");
}
