/** What a handler sees of one request, made of what its REQUEST says. */
import { toContext, workerParts, type Places, type WorkerContext } from "../handler.ts";
import { once } from "../lifetime.ts";
import type { Fields } from "../logging/format.ts";
import type { Logger } from "../logging/logger.ts";
import type { CallScope } from "../trace/call-scope.ts";
import { toLogFields, type Identity } from "../trace/identity.ts";
import { forwardedOf } from "../trace/request-headers.ts";
import type { TokenClock } from "../trace/token-clock.ts";
import { formatTraceparent } from "../trace/traceparent.ts";
import type { RequestMessage } from "../wire/messages.ts";
import { addReported } from "./reported-fields.ts";
import type { ServedEndpoint } from "./served-endpoints.ts";
import type { ServerStream } from "./server-stream.ts";

type Facts = Record<string, string | number | boolean>;

/** One request that runs. */
export interface ContextParts {
  readonly stream: ServerStream;
  readonly identity: Identity;
  /** For its last line. */
  readonly facts: Facts;
  /** What its handler reports: for its last line, too, and for its caller. */
  readonly reported: Facts;
  readonly places: Places;
  /** How long it waited for its place, ms. */
  readonly queuedMs: number;
  readonly queuePosition: number;
  readonly clock: TokenClock;
  readonly scope: CallScope;
}

/** The context of its handler, from which the handler's calls inherit from now on. `now`: the clock of `performance.now()`. */
export function openContext(
  { stream, identity, facts, reported, places, queuedMs, queuePosition, clock, scope }: ContextParts,
  request: RequestMessage,
  endpoint: ServedEndpoint,
  now: () => number,
): WorkerContext {
  const { requestId, xRequestId, trace, baggage, apiKeyName } = identity;
  const deadlineAt = request.deadlineMs === 0 ? undefined : clock.startedAt + request.deadlineMs;
  const context = toContext({
    signal: stream.signal,
    deadlineAt,
    timeLeftMs: () => (deadlineAt === undefined ? Number.POSITIVE_INFINITY : Math.max(0, deadlineAt - now())),
    requestId,
    ...(xRequestId !== undefined && { xRequestId }),
    traceparent: formatTraceparent(trace),
    ...(trace.tracestate !== undefined && { tracestate: trace.tracestate }),
    ...(baggage !== undefined && { baggage }),
    ...(apiKeyName !== undefined && { apiKeyName }),
    trace,
    identity,
    headers: forwardedOf(request.headers),
    attempt: request.attempt,
    queuedMs,
    queuePosition,
    places,
    [workerParts]: {
      connection: stream,
      clock,
      scope,
      logger: once(() => openUserLog(identity, endpoint)),
      note: (more) => void Object.assign(facts, more),
    },
    report: (more) => addReported(reported, more),
    setResponseHeaders: (more) => stream.addResponseHeaders(more),
  });
  scope.inherited = context;
  return context;
}

/** What all lines about a request have. */
export function toBoundFields(identity: Identity, { address, instanceId: instance_id }: ServedEndpoint): Fields {
  const { namespace, component, endpoint } = address;
  return { ...toLogFields(identity, "handle_payload"), namespace, component, endpoint, instance_id };
}

function openUserLog(identity: Identity, endpoint: ServedEndpoint): Logger {
  const { namespace, component, endpoint: name } = endpoint.address;
  return endpoint.log.child({
    target: `${namespace}::${component}::${name}`,
    requestId: identity.requestId,
    fields: () => toBoundFields(identity, endpoint),
  });
}
