/** What the calls of a handler inherit from the request it serves, wherever its code has got to. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Identity } from "./identity.ts";
import { acceptTracestate } from "./tracestate.ts";
import { childSpan, type TraceContext } from "./traceparent.ts";

/** Of the request that a handler serves; its context has all of it. */
export interface Inherited {
  /** Its `trace` is the span that is current there. */
  readonly identity: Identity;
  /** Aborts when nobody waits for the request any more. */
  readonly signal: AbortSignal;
  /** Reading of `performance.now()`, ms; undefined = none. */
  readonly deadlineAt: number | undefined;
}

/** One request's place in the storage. What its code leaves behind, such as a timer, keeps this for as long as it lives, and serves others, too: hence it is emptied. */
export class CallScope {
  inherited: Inherited | undefined;
}

/** Of one runtime: each has its own. */
export class CallScopes {
  #storage = new AsyncLocalStorage<CallScope>();

  /** Call `work`, whose calls, and those of all that it begins, inherit what `scope` has. */
  run<Result>(scope: CallScope, work: () => Result): Result {
    return this.#storage.run(scope, work);
  }

  /** Undefined outside of handlers, and once the request is over. */
  current(): Inherited | undefined {
    return this.#storage.getStore()?.inherited;
  }
}

/** A span below `parent`; `tracestate` stands in place of what came with that. */
export function continueTrace(parent: TraceContext, tracestate: string | undefined): TraceContext {
  if (tracestate === undefined) return childSpan(parent);
  const { tracestate: _, ...child } = childSpan(parent);
  const state = acceptTracestate(tracestate);
  return state === undefined ? child : { ...child, tracestate: state };
}

/** The deadline that comes first; undefined = none. */
export function earlier(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.min(one, other);
}
