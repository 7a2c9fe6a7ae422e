/** One HTTP request: its ids and trace, its signal, its clock. Exists before the first log line about it. */
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  acceptTrace,
  createRequestId,
  describeBadRequestId,
  isSaneClientId,
  isUuid,
  RuntimeError,
  selectBaggage,
  toLogFields,
  type Fields,
  type Identity,
  type Logger,
} from "@dyn/runtime";
import { watchDisconnect } from "./http/disconnect.ts";

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly identity: Identity;
  /** Lines carry the ids and the request line. */
  readonly log: Logger;
  /** Aborts when the client leaves, or the frontend must end the answer. */
  readonly signal: AbortSignal;
  /** End the answer: `reason` is what the client is told, if it is still there. */
  readonly abort: (reason: RuntimeError) => void;
  readonly startedAt: number;
  /** Why the request must be refused before anything else. */
  readonly rejection: RuntimeError | undefined;
}

export interface ExchangeOptions {
  readonly log: Logger;
  readonly strictRequestId: boolean;
  /** Keys of baggage members that travel to the worker. */
  readonly baggageKeys: ReadonlySet<string>;
  readonly now: () => number;
  /** Controllers of the exchanges under way. */
  readonly open: Set<AbortController>;
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

// `request-id`, else the deprecated header; what is no UUID is replaced (or refused, in strict mode).
function readRequestId(request: IncomingMessage, strict: boolean): Ids {
  const current = headerOf(request, "request-id");
  const deprecated = headerOf(request, "x-dynamo-request-id");
  const warnings: string[] = [];
  if (deprecated !== undefined) {
    warnings.push("x-dynamo-request-id header is deprecated (DEP #7812); server-generated request IDs should be used instead");
  }
  const [name, value] = current === undefined ? ["x-dynamo-request-id", deprecated] : ["request-id", current];
  if (value === undefined) return { requestId: createRequestId(), warnings, rejection: undefined };
  if (isUuid(value)) return { requestId: value, warnings, rejection: undefined };
  const problem = describeBadRequestId(name, value);
  warnings.push(problem);
  return { requestId: createRequestId(), warnings, rejection: strict ? new RuntimeError("invalid_argument", problem) : undefined };
}

function checkHost({ httpVersion, headers: { host } }: IncomingMessage): RuntimeError | undefined {
  if (httpVersion !== "1.1" || host !== undefined) return undefined;
  return new RuntimeError("invalid_argument", "the Host header is missing, HTTP/1.1 requires it");
}

/** Begin an exchange: ids from the headers, echoed on the answer whatever becomes of it. */
export function beginExchange(request: IncomingMessage, response: ServerResponse, options: ExchangeOptions): Exchange {
  const { requestId, warnings, rejection } = readRequestId(request, options.strictRequestId);
  const clientId = headerOf(request, "x-request-id");
  const sane = clientId !== undefined && isSaneClientId(clientId);
  const trace = acceptTrace(headerOf(request, "traceparent"), headerOf(request, "tracestate"));
  const baggage = selectBaggage(headerOf(request, "baggage"), options.baggageKeys);
  const identity: Identity = { requestId, ...(sane && { xRequestId: clientId }), trace, ...(baggage !== undefined && { baggage }) };
  response.setHeader("x-request-id", sane ? clientId : requestId);
  response.setHeader("request-id", requestId);
  const toFields = (): Fields => ({
    ...toLogFields(identity, "http-request"),
    method: request.method ?? "",
    uri: request.url ?? "",
    version: `HTTP/${request.httpVersion}`,
  });
  const log = options.log.child({ requestId, fields: toFields });
  for (const warning of warnings) log.warn({}, warning);
  if (clientId !== undefined && !sane)
    log.warn({ length: clientId.length }, "x-request-id header ignored: expected 1 to 256 characters of visible ASCII");
  const aborter = watchDisconnect(response, options.open);
  return {
    request,
    response,
    identity,
    log,
    signal: aborter.signal,
    abort: (reason) => aborter.abort(reason),
    startedAt: options.now(),
    rejection: rejection ?? checkHost(request),
  };
}
