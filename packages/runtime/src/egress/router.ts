/** Sends a request to an instance, as one span per attempt; another instance gets it if nothing has been delivered yet. */
import { RuntimeError, toRuntimeError, type ErrorCode } from "../errors.ts";
import type { Instance } from "../discovery/live-set.ts";
import type { Logger } from "../logging/logger.ts";
import type { RuntimeMetrics } from "../metrics.ts";
import { compareLineage, toLogFields, toPlaneHeaders, type Identity } from "../trace/identity.ts";
import { childSpan } from "../trace/traceparent.ts";
import type { Trailer } from "../wire/messages.ts";
import type { Peers } from "./peers.ts";
import type { Pick } from "./pick.ts";
import type { ClientStream } from "./plane-client.ts";

const maxAttempts = 3;

export interface RouterOptions {
  readonly peers: Peers;
  readonly pick: Pick;
  readonly metrics: RuntimeMetrics;
  readonly log: Logger;
  readonly now: () => number;
}

/** One request on its way through the attempts. The same object tells afterwards how it went. */
export interface Route {
  readonly identity: Identity;
  readonly path: string;
  readonly payload: Uint8Array;
  readonly signal: AbortSignal | undefined;
  /** Clock reading (ms, the router's `now`) after which nobody waits any more. */
  readonly deadlineAt: number | undefined;
  /** Instances to choose from, asked anew for every attempt. */
  candidates(): readonly Instance[];
  /** Filled in: the instance of the last attempt, and its trailer. */
  report: { workerId?: string; attempts: number; trailer: Partial<Trailer> };
}

export type Router = (route: Route) => AsyncGenerator<unknown[], void, void>;

export function createRouter(options: RouterOptions): Router {
  return async function* routeRequest(route) {
    const tried = new Set<string>();
    for (let attempt = 0; ; attempt += 1) {
      const instance = options.pick(route.candidates(), tried);
      if (!instance)
        throw new RuntimeError("unavailable", tried.size > 0 ? `all ${tried.size} instances failed` : `no instance serves ${route.path}`);
      try {
        return yield* runAttempt(options, route, instance, attempt);
      } catch (error) {
        if (!(error instanceof AttemptError)) throw error;
        if (error.delivered || attempt + 1 >= maxAttempts || !error.cause.traits.retryable) throw error.cause;
        tried.add(instance.id);
        if (!route.candidates().some(({ id }) => !tried.has(id))) throw error.cause;
      }
    }
  };
}

class AttemptError extends Error {
  override readonly name = "AttemptError";
  override readonly cause: RuntimeError;
  readonly delivered: boolean;

  constructor(cause: RuntimeError, delivered: boolean) {
    super(cause.message);
    this.cause = cause;
    this.delivered = delivered;
  }
}

type Outcome = "success" | "cancelled" | "worker_disconnected" | "connection_failed" | "timeout" | "rejected" | "unavailable" | "error";

const outcomes: Partial<Record<ErrorCode, Outcome>> = {
  cancelled: "cancelled",
  disconnected: "worker_disconnected",
  cannot_connect: "connection_failed",
  deadline_exceeded: "timeout",
  overloaded: "rejected",
  unavailable: "unavailable",
};

async function* runAttempt(options: RouterOptions, route: Route, instance: Instance, attempt: number): AsyncGenerator<unknown[], void, void> {
  const identity: Identity = { ...route.identity, trace: childSpan(route.identity.trace) };
  const attemptLog = createAttemptLog(options.log, identity, instance, attempt);
  options.metrics.inflight.inc();
  route.report.workerId = instance.id;
  route.report.attempts = attempt + 1;
  let stream: ClientStream | undefined;
  let failure: RuntimeError | undefined;
  let isOver = false;
  try {
    const peer = options.peers.get(instance);
    stream = (peer instanceof Promise ? await peer : peer).open({
      path: route.path,
      headers: toPlaneHeaders(identity),
      attempt,
      deadlineMs: route.deadlineAt === undefined ? 0 : Math.max(1, Math.ceil(route.deadlineAt - options.now())),
      payload: route.payload,
    });
    yield* readItems(stream, route.signal);
    isOver = true;
  } catch (error) {
    isOver = true;
    failure = toRuntimeError(error);
    throw new AttemptError(failure, stream?.produced ?? false);
  } finally {
    if (!isOver) failure = new RuntimeError("cancelled", "the reader left");
    if (stream && failure && !stream.isEnded) stream.cancel("kill", failure);
    options.metrics.inflight.dec();
    if (stream) checkLineage(options, route, identity, instance, attempt, stream);
    attemptLog(failure);
  }
}

async function* readItems(stream: ClientStream, signal: AbortSignal | undefined): AsyncGenerator<unknown[], void, void> {
  const abort = (): void => stream.cancel("kill", toRuntimeError(signal?.reason));
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    for (;;) {
      const items = await stream.next();
      if (!items) return;
      yield items;
    }
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

// The worker says which ids it saw. A worker that never answered has nothing to compare.
function checkLineage(options: RouterOptions, route: Route, sent: Identity, instance: Instance, attempt: number, stream: ClientStream): void {
  const { trailer } = stream;
  route.report.trailer = trailer;
  if (!trailer.seen) return;
  const mismatch = compareLineage(sent, instance.id, attempt, trailer.seen);
  if (mismatch.length === 0) return;
  options.metrics.lineageMismatch.inc();
  const fields = { ...toLogFields(sent, "router.route_request"), mismatch: mismatch.join(","), seen: trailer.seen, worker_id: instance.id };
  options.log.warn(fields, "worker saw other ids than were sent");
}

function createAttemptLog(root: Logger, identity: Identity, { id }: Instance, attempt: number): (failure: RuntimeError | undefined) => void {
  return (failure) => {
    if (!root.isEnabled(failure ? "warn" : "info")) return;
    const fields = {
      ...toLogFields(identity, "router.route_request"),
      "otel.kind": "client",
      "request.attempt": attempt,
      "request.outcome": failure ? (outcomes[failure.code] ?? "error") : "success",
      router_mode: "round-robin",
      worker_id: id,
    };
    if (!failure) root.info(fields, "route request completed");
    else if (failure.code === "cancelled") root.info(fields, "route request cancelled");
    else root.warn({ ...fields, "error.type": failure.code, error: failure.message }, "route request failed");
  };
}
