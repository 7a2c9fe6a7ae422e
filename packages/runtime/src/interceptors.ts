/** Interceptors: what stands between a caller and the wire, and between the wire and a handler. One signature for both ends. */
import type { Logger as Pino } from "pino";
import { RuntimeError } from "./errors.ts";
import { describeValue } from "./excerpt.ts";
import { GivenItems, isAsyncIterable, toItems } from "./given-items.ts";
import type { Handler, RequestContext } from "./handler.ts";
import type { TraceContext } from "./trace/traceparent.ts";

/** Of a call, at either end. */
export interface CallFacts {
  /** `dyn://namespace.component.endpoint`. */
  readonly address: string;
  /** What is asked. `next({ ...call, request })` asks something else. */
  readonly request: unknown;
  readonly requestId: string;
  readonly xRequestId?: string;
  readonly trace: TraceContext;
  /** W3C baggage. At the client `next({ ...call, baggage })` sends another one, with every attempt. */
  readonly baggage?: string;
  /** Aborts when nobody waits for the answer any more. Whatever an interceptor waits for must watch it. */
  readonly signal: AbortSignal;
  /** A pino logger whose lines carry the request's ids. */
  readonly log: Pino;
}

/** A call where it is made. */
export interface ClientCall extends CallFacts {
  readonly side: "client";
}

/** A call where it is served. */
export interface ServerCall extends CallFacts {
  readonly side: "server";
  /** What the handler gets beside the request. */
  readonly context: RequestContext;
}

export type InterceptedCall = ClientCall | ServerCall;

/** What a call comes to: its items, if it is read. */
export type Next = (call: InterceptedCall) => AsyncIterable<unknown>;

/** Made once for each client and each served endpoint. What it returns is called for each request, and calls `next` once or, to answer by itself, not at all.
 *  It throws to refuse a request; leaving the items of `next` cancels it. */
export type Interceptor = (next: Next) => Next;

/** Where a call goes once it is through, and what says whether it has been. A copy of a call keeps it: hence a symbol. */
const passage: unique symbol = Symbol("passage");

interface Passage {
  readonly begin: Next;
  readonly openLog: () => Pino;
  hasBegun: boolean;
}

/** A call as those make it who send one through a chain. */
export type RawCall = Omit<ClientCall, "log"> | Omit<ServerCall, "log">;

/** The interceptors of one client or one served endpoint, put together. */
export type Chain = (call: RawCall, openLog: () => Pino, begin: Next) => AsyncIterable<unknown>;

// One for all calls, as of contexts: most interceptors log nothing.
const log = {
  enumerable: true, // a copy of a call has it, too
  get(this: { readonly [passage]: Passage }): Pino {
    return this[passage].openLog();
  },
};

/** Put interceptors together, the first outermost; undefined if there are none. @throws RuntimeError `invalid_argument` on one that returns no function. */
export function createChain(interceptors: readonly Interceptor[]): Chain | undefined {
  if (interceptors.length === 0) return undefined;
  const outermost = interceptors.reduceRight(wrap, pass);
  return (call, openLog, begin) => {
    const through: Passage = { begin, openLog, hasBegun: false };
    const made: object = Object.defineProperty({ ...call, [passage]: through }, "log", log);
    return outermost(made as InterceptedCall);
  };
}

/** @throws RuntimeError `invalid_argument` unless it is a list of functions. */
export function assertInterceptors(given: unknown): asserts given is readonly Interceptor[] {
  if (!Array.isArray(given))
    throw new RuntimeError("invalid_argument", `interceptors must be a list of functions, got ${describeValue(given)}`);
  const wrong = given.findIndex((each) => typeof each !== "function");
  if (wrong < 0) return;
  throw new RuntimeError(
    "invalid_argument",
    `interceptors[${wrong}] must be a function, got ${describeValue(given[wrong])}`,
  );
}

function wrap(next: Next, interceptor: Interceptor): Next {
  const own: unknown = interceptor(next);
  if (typeof own === "function") return (call) => takeItems(own(call));
  throw new RuntimeError(
    "invalid_argument",
    `an interceptor must return a function of a call, got ${describeValue(own)}`,
  );
}

// One that forgets to return what `next` gives must not look like an answer.
function takeItems(given: unknown): AsyncIterable<unknown> {
  if (isAsyncIterable(given) || given instanceof Promise) return toItems(given);
  throw new RuntimeError(
    "internal",
    `an interceptor must return the items of an answer, as \`next\` does, got ${describeValue(given)}`,
  );
}

// A handler is called once for a request, and an answer has one list of attempts.
function pass(call: InterceptedCall): AsyncIterable<unknown> {
  const { [passage]: through } = call as { [passage]?: Passage };
  if (!through)
    throw new RuntimeError("internal", "an interceptor gave `next` something else than its call or a copy of it");
  if (through.hasBegun)
    throw new RuntimeError(
      "internal",
      "an interceptor called `next` again for one request: a policy of the client says what is tried again",
    );
  through.hasBegun = true;
  return through.begin(call);
}

/** The handler behind interceptors; itself if there are none. */
export function serveIntercepted(
  interceptors: readonly Interceptor[],
  address: string,
  handler: Handler<unknown, unknown>,
): Handler<unknown, unknown> {
  const chain = createChain(interceptors);
  if (!chain) return handler;
  const begin: Next = (call) => {
    if (call.side === "server") return handlerItems(handler, call);
    throw new RuntimeError("internal", "an interceptor gave `next` a call of a client");
  };
  return (request, context) => {
    const { requestId, xRequestId, trace, baggage, signal } = context;
    const call = {
      side: "server",
      address,
      request,
      requestId,
      ...(xRequestId !== undefined && { xRequestId }),
      trace,
      ...(baggage !== undefined && { baggage }),
      signal,
      context,
    } as const;
    return chain(call, () => context.log, begin);
  };
}

async function* handlerItems(
  handler: Handler<unknown, unknown>,
  { request, context }: ServerCall,
): AsyncGenerator<unknown, void, void> {
  const items = new GivenItems(handler(request, context), "the handler");
  yield* items;
  await items.end();
}
