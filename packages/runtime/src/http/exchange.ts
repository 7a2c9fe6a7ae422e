/** One HTTP request: its ids and trace, its signal, its clock. Exists before the first log line about it. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { RuntimeError } from "../errors.ts";
import { createRequestId, describeBadRequestId, isSaneClientId, isUuid } from "../ids.ts";
import type { Fields } from "../logging/format.ts";
import type { Logger } from "../logging/logger.ts";
import type { MemoryBudget } from "../memory-budget.ts";
import { selectBaggage } from "../trace/baggage.ts";
import { toLogFields, type Identity } from "../trace/identity.ts";
import type { Tracer } from "../trace/spans.ts";
import { acceptTrace } from "../trace/traceparent.ts";
import type { Caller, Callers } from "./callers.ts";
import type { Cors } from "./cors.ts";
import type { HttpGate } from "./gate.ts";
import type { RequestFault } from "./malformed.ts";
import type { Reply } from "./reply.ts";
import { openRequestSpan, type RequestSpan } from "./request-span.ts";
import type { UnderWay } from "./under-way.ts";

export interface Exchange extends Reply {
  readonly request: IncomingMessage;
  readonly identity: Identity;
  /** Lines carry the ids and the request line. */
  readonly log: Logger;
  /** Aborts when the client leaves, or the server must end the answer. */
  readonly signal: AbortSignal;
  /** End the answer: `reason` is what the client is told, if it is still there. */
  readonly abort: (reason: RuntimeError) => void;
  readonly startedAt: number;
  /** Undefined unless it is exported. */
  readonly span: RequestSpan | undefined;
  readonly caller: Caller;
  /** Why the request must be refused before anything else. */
  readonly rejection: RuntimeError | undefined;
}

export interface ExchangeOptions {
  readonly log: Logger;
  /** Refuse requests whose id is none. */
  readonly strictRequestId: boolean;
  /** Keys of baggage members that travel to the worker. */
  readonly baggageKeys: ReadonlySet<string>;
  readonly tracer: Tracer;
  /** Monotonic clock, ms. */
  readonly now: () => number;
  readonly callers: Callers;
  /** Undefined = nothing is said to pages of other origins. */
  readonly cors: Cors | undefined;
  /** What requests may take of the memory of this process. */
  readonly memory: MemoryBudget;
  readonly scheme: "http" | "https";
}

/** What an exchange has from its server. */
export interface ExchangeParts {
  readonly underWay: UnderWay;
  /** Which the request has passed. */
  readonly gate: Pick<HttpGate, "faultOf" | "endAfter">;
}

/** `inference`: generates; takes a place among those under way, and has its pair of lines.
 *  `lookup`: what clients may know, answered without generating anything. `operator`: for those who run this, and their probes. */
export type RouteKind = "inference" | "lookup" | "operator";

/** The route of a request, as far as its exchange needs it. */
export interface ExchangeRoute {
  readonly path: string;
  readonly kind: RouteKind;
  /** Workers may be asked for the answer: their spans need one of ours above them. Inference always does. */
  readonly asksWorkers?: true;
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === "string" ? value : undefined; // only set-cookie, of answers, is a list
}

interface Ids {
  readonly requestId: string;
  readonly warnings: readonly string[];
  readonly rejection: RuntimeError | undefined;
}

// `request-id`, else the deprecated header; what is no UUID, or that of a request that still runs, is replaced (or refused, in strict mode).
function readRequestId(request: IncomingMessage, strict: boolean, underWay: UnderWay): Ids {
  const current = headerOf(request, "request-id");
  const deprecated = headerOf(request, "x-dynamo-request-id");
  const warnings: string[] = [];
  if (deprecated !== undefined) {
    warnings.push(
      "x-dynamo-request-id header is deprecated (DEP #7812); server-generated request IDs should be used instead",
    );
  }
  const [name, value] = current === undefined ? ["x-dynamo-request-id", deprecated] : ["request-id", current];
  if (value === undefined) return { requestId: createRequestId(), warnings, rejection: undefined };
  if (isUuid(value) && !underWay.has(value)) return { requestId: value, warnings, rejection: undefined };
  const problem = isUuid(value)
    ? `${name} header is the id of a request that is still running: ${value}`
    : describeBadRequestId(name, value);
  warnings.push(problem);
  return {
    requestId: createRequestId(),
    warnings,
    rejection: strict ? new RuntimeError("invalid_argument", problem) : undefined,
  };
}

function readIdentity(
  request: IncomingMessage,
  requestId: string,
  { apiKey }: Caller,
  { tracer, baggageKeys }: ExchangeOptions,
): Identity {
  const clientId = headerOf(request, "x-request-id");
  const trace = tracer.sample(acceptTrace(headerOf(request, "traceparent"), headerOf(request, "tracestate")));
  const baggage = selectBaggage(headerOf(request, "baggage"), baggageKeys);
  const isSane = clientId !== undefined && isSaneClientId(clientId);
  return {
    requestId,
    ...(isSane && { xRequestId: clientId }),
    trace,
    ...(baggage !== undefined && { baggage }),
    ...(apiKey && { apiKeyName: apiKey.name }),
  };
}

interface Sender {
  readonly socket: Socket;
  /** With a key that is known it has a line for each; others are summed up. */
  readonly hasKey: boolean;
}

const refusals: Readonly<Record<number, string>> = {
  408: "slow client refused",
  421: "request for another host refused",
};

/** Whoever sends such things may be looking for a hole; whoever is late has a slow network, as a rule. */
export function logRefused(
  log: Logger,
  { code, status, message: error }: RequestFault,
  { socket: { remoteAddress: remote }, hasKey }: Sender,
): void {
  const fields = { remote, status, error, "error.type": code };
  const level = status === 408 ? "info" : "warn";
  const message = refusals[status] ?? "malformed HTTP refused";
  if (hasKey) log[level](fields, message);
  else log.summed(level, fields, message, { kind: `${status}` });
}

/** Begin an exchange: ids from the headers, echoed on the answer whatever becomes of it. `route`: undefined if there is none. */
export function beginExchange(
  request: IncomingMessage,
  response: ServerResponse,
  route: ExchangeRoute | undefined,
  options: ExchangeOptions,
  { underWay, gate }: ExchangeParts,
): Exchange {
  const startedAt = options.now();
  const { requestId, warnings, rejection } = readRequestId(request, options.strictRequestId, underWay);
  const caller = options.callers.find(request.headers);
  const identity = readIdentity(request, requestId, caller, options);
  const toFields = (): Fields => ({
    ...toLogFields(identity, "http-request"),
    method: request.method ?? "",
    uri: request.url ?? "",
    version: `HTTP/${request.httpVersion}`,
  });
  const log = options.log.child({ requestId, fields: toFields });
  const warn = (fields: Fields, message: string): void =>
    caller.isStranger ? log.summed("warn", fields, message) : log.warn(fields, message);
  for (const warning of warnings) warn({}, warning);
  const length = headerOf(request, "x-request-id")?.length;
  if (length !== undefined && identity.xRequestId === undefined)
    warn({ length }, "x-request-id header ignored: expected 1 to 256 characters of visible ASCII");
  const fault = gate.faultOf(request);
  if (fault) logRefused(log, fault, { socket: request.socket, hasKey: caller.hasKey });
  const memory = options.memory.open();
  const aborter = underWay.begin(requestId, response, memory);
  const exchange: Exchange = {
    request,
    response,
    memory,
    commonHeaders: {
      "x-request-id": identity.xRequestId ?? requestId,
      "request-id": requestId,
      ...options.cors?.headersOf(request),
    },
    identity,
    log,
    signal: aborter.signal,
    abort: (reason) => aborter.abort(reason),
    startedAt,
    span: undefined,
    caller,
    rejection: fault ?? rejection ?? underWay.over,
  };
  return options.tracer.isOn ? { ...exchange, span: openSpan(exchange, route, options) } : exchange;
}

// Probes and lists are traced where their lines are shown: from debug on.
function openSpan(
  { identity, request, response, startedAt, log }: Exchange,
  route: ExchangeRoute | undefined,
  { tracer, scheme }: ExchangeOptions,
): RequestSpan | undefined {
  const isLogged = !route || route.kind === "inference";
  if (!isLogged && !route?.asksWorkers && !log.child({ target: "system_span" }).isEnabled("debug")) return undefined;
  return openRequestSpan({ tracer, identity, request, response, scheme, route: route?.path, isLogged, startedAt, log });
}
