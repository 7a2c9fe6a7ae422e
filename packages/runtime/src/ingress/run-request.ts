/** Runs the handler of one request: reopens its identity, sends its items, and writes the worker's pair of lifecycle lines. */
import { roundMs } from "../durations.ts";
import { GivenItems } from "../given-items.ts";
import type { Places } from "../handler.ts";
import { RuntimeError } from "../errors.ts";
import { toHandlerError, toRuntimeError } from "../thrown.ts";
import { describeBadRequestId, isUuid } from "../ids.ts";
import type { Level } from "../logging/filter.ts";
import type { Fields } from "../logging/format.ts";
import type { Logger } from "../logging/logger.ts";
import { maxTimerMs } from "../settings/environment.ts";
import type { EndedRequest, FailedStep } from "../metrics/endpoint-metrics.ts";
import { CallScope, type CallScopes } from "../trace/call-scope.ts";
import { fromPlaneHeaders, type Identity } from "../trace/identity.ts";
import { endSpan, toOutcome, type Span, type Tracer } from "../trace/spans.ts";
import { TokenClock } from "../trace/token-clock.ts";
import type { ResponseHeaders } from "../trace/response-headers.ts";
import { isSampled } from "../trace/traceparent.ts";
import type { Trailer } from "../wire/endings.ts";
import type { EncodeItem } from "../wire/items.ts";
import type { RequestMessage } from "../wire/messages.ts";
import { keepReported } from "../wire/reported.ts";
import { decodePayload } from "../wire/payload.ts";
import { toWorkerError } from "../worker-errors.ts";
import type { Place } from "./places.ts";
import { findBadDetails } from "./error-details.ts";
import { openContext, toBoundFields, type ContextParts } from "./open-context.ts";
import type { Pauses } from "./pauses.ts";
import { toLineFacts } from "./reported-fields.ts";
import { toRetryWord } from "./retry-word.ts";
import type { ServedEndpoint } from "./served-endpoints.ts";
import type { ServerStream } from "./server-stream.ts";

/** Where a request runs. */
export interface RunOptions {
  readonly endpoint: ServedEndpoint;
  /** Its place among the requests of the endpoint; whoever took it gives it back. Undefined if they are not limited. */
  readonly place: Place | undefined;
  readonly pauses: Pauses;
  readonly now: () => number;
  readonly tracer: Tracer;
  readonly scopes: CallScopes;
}

const unlimited: Places = { take: () => Promise.resolve({ [Symbol.dispose]: () => undefined }) };

interface Running extends ContextParts {
  readonly span: Span;
  readonly log: Logger;
  /** What it is at; tells which step a failure belongs to. */
  step: FailedStep;
  queuedMs: number;
  items: number;
}

/** Never rejects: every ending is a frame to the peer and a line in the log. */
export async function runRequest(stream: ServerStream, request: RequestMessage, options: RunOptions): Promise<void> {
  const { endpoint, place, now, tracer, scopes } = options;
  const identity = openIdentity(request, tracer);
  const { requestId } = identity;
  const log = endpoint.log.child({
    target: "dyn_runtime::ingress::push_handler",
    requestId,
    fields: () => ({ ...toBoundFields(identity, endpoint), "otel.kind": "server" }),
  });
  const startedAt = now();
  const span = tracer.startSpan("handle_payload", "server", identity.trace, startedAt);
  const running: Running = {
    stream,
    identity,
    span,
    log,
    facts: {},
    reported: {},
    places: place ?? unlimited,
    queuedMs: 0,
    queuePosition: place?.position ?? 0,
    clock: new TokenClock(startedAt, now),
    scope: new CallScope(),
    step: "generate",
    items: 0,
  };
  const claimed = request.headers["request-id"];
  if (claimed !== undefined && !isUuid(claimed)) log.warn({}, describeBadRequestId("request-id", claimed));
  log.event(
    "request_received",
    { attempt: request.attempt, request_bytes: request.payload.length },
    "request received",
  );
  endpoint.metrics.begin(request.payload.length);
  const deadline = armDeadline(stream, request.deadlineMs, startedAt);
  let failure: RuntimeError | undefined;
  try {
    const turn = place?.turn(stream.signal);
    if (turn) await waitInQueue(running, turn, options);
    else if (place) endpoint.metrics.permitWait.observe(0);
    const work = (): Promise<void> => pump(running, request, options);
    await scopes.run(running.scope, () => (tracer.isOn ? span.run(work) : work()));
  } catch (error) {
    failure = stream.signal.aborted ? toRuntimeError(stream.signal.reason) : toFailure(error);
  } finally {
    clearTimeout(deadline);
    running.scope.inherited = undefined;
  }
  const trailer = toTrailer(running, endpoint.instanceId, request.attempt, now());
  if (failure && !stream.isStopped) fail(running, failure, trailer, endpoint.isIdempotent);
  else stream.end(trailer);
  endpoint.metrics.end(toEndedRequest(running, trailer, failure));
  if (span.isRecording) describe(running, request, endpoint, trailer);
  endSpan(span, failure, toOutcome(failure));
  logCompletion(running, trailer, failure);
}

// Whoever looks at a late answer, or at one that never came, is to see that it waited, and behind how many.
async function waitInQueue(running: Running, turn: Promise<void>, { endpoint, now }: RunOptions): Promise<void> {
  const { clock, reported, queuePosition: queue_position } = running;
  try {
    await turn;
  } finally {
    running.queuedMs = now() - clock.startedAt;
    endpoint.metrics.permitWait.observe(running.queuedMs / 1000);
    Object.assign(reported, { queued_ms: roundMs(running.queuedMs), queue_position });
  }
}

// An error arrives whatever is wrong with its details.
function fail({ stream, log }: Running, failure: RuntimeError, trailer: Trailer, isIdempotent: boolean): void {
  const problem = findBadDetails(failure);
  if (problem !== undefined) log.warn({ error: problem }, "details of an error are not sent");
  const word = toRetryWord(failure, { isBegun: stream.begunAt !== undefined, isIdempotent });
  stream.fail(failure, trailer, { hasDetails: problem === undefined, ...word });
}

// Whether the trace is recorded is decided where it enters a process; what the handler sends on must say so.
function openIdentity({ headers }: RequestMessage, tracer: Tracer): Identity {
  const identity = fromPlaneHeaders(headers);
  return tracer.isOn ? { ...identity, trace: tracer.sample(identity.trace) } : identity;
}

// Nobody has cancelled the request: an abort of the handler's own, for instance of a call it makes, is a fault of its own.
function toFailure(thrown: unknown): RuntimeError {
  return toWorkerError(toHandlerError(thrown), "the handler");
}

async function pump(running: Running, request: RequestMessage, { endpoint, pauses, now }: RunOptions): Promise<void> {
  const { stream, clock } = running;
  running.step = "deserialization";
  const body = stream.upload ? stream.upload.read() : decodePayload(request.payload, "request payload");
  running.step = "generate";
  const context = openContext(running, request, endpoint, now);
  stream.begin(running.identity.requestId, now());
  const items = new GivenItems(endpoint.handler(body, context), "the handler");
  for await (const item of items) {
    if (!stream.isWritable) await stream.writable();
    if (stream.signal.aborted) break; // leaving the loop tells the engine
    running.step = "serialization";
    if (running.items > 0 || !stream.responseHeaders) stream.send(item, endpoint.encodeItem);
    else stream.send(item, withHeaders(endpoint, stream.responseHeaders));
    running.step = "generate";
    running.items += 1;
    clock.add(endpoint.countTokens(item));
    const pause = pauses();
    if (pause) await pause;
  }
  stream.signal.throwIfAborted();
  await items.end();
}

// Those of a stream must be known before it begins.
function withHeaders({ encodeItem }: ServedEndpoint, headers: ResponseHeaders): EncodeItem<unknown> {
  return (writer, item) => encodeItem(writer, item, headers);
}

function armDeadline(stream: ServerStream, deadlineMs: number, startedAt: number): NodeJS.Timeout | undefined {
  if (deadlineMs === 0) return undefined;
  stream.deadlineAt = startedAt + deadlineMs;
  const expire = (): void => stream.expire(`no time left after ${deadlineMs} ms at the worker`);
  return setTimeout(expire, Math.min(deadlineMs, maxTimerMs));
}

function toTrailer(
  { stream, identity, reported, items, clock }: Running,
  instanceId: string,
  attempt: number,
  endedAt: number,
): Trailer {
  const { requestId, xRequestId, trace } = identity;
  const { ttft_ms } = clock.times();
  const facts = keepReported(reported);
  return {
    seen: {
      request_id: requestId,
      ...(xRequestId !== undefined && { x_request_id: xRequestId }),
      trace_id: trace.traceId,
      ...(trace.parentId !== undefined && { parent_id: trace.parentId }),
      span_id: trace.spanId,
      instance_id: instanceId,
      attempt,
    },
    items,
    elapsed_ms: roundMs(endedAt - clock.startedAt),
    ...(ttft_ms !== undefined && { ttft_ms }),
    ...(facts && { facts }),
    ...(stream.responseHeaders && { headers: stream.responseHeaders }),
  };
}

function toEndedRequest(
  { stream, identity, step }: Running,
  trailer: Trailer,
  failure: RuntimeError | undefined,
): EndedRequest {
  const isCancelled = failure?.code === "cancelled";
  return {
    failedStep: failure && !isCancelled ? step : undefined,
    isCancelled,
    streamedBytes: stream.upload?.bytes ?? 0,
    responseBytes: stream.bytes,
    elapsedMs: trailer.elapsed_ms,
    ttftMs: trailer.ttft_ms,
    trace: isSampled(identity.trace) ? identity.trace : undefined,
  };
}

// What the worker's line says, as attributes; how it went is added at the end of the span.
function describe(running: Running, request: RequestMessage, endpoint: ServedEndpoint, trailer: Trailer): void {
  const { span, identity, facts, reported, items, clock } = running;
  const { namespace, component, endpoint: name } = endpoint.address;
  span.setAttributes({
    ...toLineFacts(reported),
    ...facts,
    elapsed_ms: trailer.elapsed_ms,
    items,
    ...clock.times(),
    request_id: identity.requestId,
    x_request_id: identity.xRequestId,
    namespace,
    component,
    endpoint: name,
    instance_id: endpoint.instanceId,
    "request.attempt": request.attempt,
    request_bytes: request.payload.length + (running.stream.upload?.bytes ?? 0),
  });
  if (clock.firstAt !== undefined) span.addEvent("first token", clock.firstAt);
}

function logCompletion(running: Running, trailer: Trailer, failure: RuntimeError | undefined): void {
  const { log, facts, reported, items, clock, stream } = running;
  if (!failure && !log.isEnabled("request_completed")) return;
  const fields = {
    ...toLineFacts(reported),
    ...facts,
    elapsed_ms: trailer.elapsed_ms,
    items,
    ...clock.times(),
    request_bytes: stream.upload?.bytes,
  };
  const complete = (more: Fields, level?: Level): void =>
    log.event("request_completed", { ...fields, ...more }, "request completed", level);
  if (!failure) return complete({ status: "success" });
  const { metric, detail } = failure.traits;
  const type = { error_type: metric, error_detail: detail };
  if (failure.code === "cancelled") return complete({ ...type, status: "cancelled" }, "info");
  complete({ ...type, status: "error", error: failure.cause === undefined ? failure.message : failure }, "error");
}
