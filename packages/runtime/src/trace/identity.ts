/** Who a request is: our id, the client's id, its place in a trace; how that travels on the plane and is compared on return. */
import { createRequestId, isSaneClientId, isUuid } from "../ids.ts";
import { acceptTrace, formatTraceparent, type TraceContext } from "./traceparent.ts";

/** The ids of a request in one process; `trace` is the span that is current there. */
export interface Identity {
  /** Ours: a UUID, the same in every process. */
  readonly requestId: string;
  /** The client's `x-request-id`, verbatim, when it is sane. */
  readonly xRequestId?: string;
  readonly trace: TraceContext;
  /** Members of the client's W3C baggage that may travel, as a header. */
  readonly baggage?: string;
  /** Name of the API key with which the client came, if it had one. */
  readonly apiKeyName?: string;
}

/** As files of keys have them. */
const apiKeyNamePattern = /^[\w.@:-]{1,80}$/;

/** String headers of one REQUEST frame. */
export type PlaneHeaders = Readonly<Record<string, string>>;

/** Headers that carry `identity` to a worker; its trace position becomes the worker's parent. */
export function toPlaneHeaders({
  requestId,
  xRequestId,
  trace,
  baggage,
  apiKeyName,
}: Identity): Record<string, string> {
  const headers: Record<string, string> = { traceparent: formatTraceparent(trace), "request-id": requestId };
  if (trace.tracestate !== undefined) headers["tracestate"] = trace.tracestate;
  if (xRequestId !== undefined) headers["x-request-id"] = xRequestId;
  if (baggage !== undefined) headers["baggage"] = baggage;
  if (apiKeyName !== undefined) headers["api-key-name"] = apiKeyName;
  return headers;
}

/** Reopen the identity on the worker's side. Ids that are missing or malformed are replaced: the difference shows in the trailer. */
export function fromPlaneHeaders(headers: PlaneHeaders): Identity {
  const requestId = headers["request-id"] ?? "";
  const { "x-request-id": xRequestId, baggage, "api-key-name": apiKeyName } = headers;
  return {
    requestId: isUuid(requestId) ? requestId : createRequestId(),
    ...(xRequestId !== undefined && isSaneClientId(xRequestId) ? { xRequestId } : {}),
    trace: acceptTrace(headers["traceparent"], headers["tracestate"]),
    ...(baggage !== undefined && { baggage }),
    ...(apiKeyName !== undefined && apiKeyNamePattern.test(apiKeyName) && { apiKeyName }),
  };
}

/** What a worker says it saw, sent back in the trailer of its answer. */
export interface SeenIdentity {
  readonly request_id: string;
  readonly x_request_id?: string;
  readonly trace_id: string;
  /** The span the worker took for its parent: the frontend's attempt span. */
  readonly parent_id?: string;
  readonly span_id: string;
  /** Decimal u64. */
  readonly instance_id: string;
  readonly attempt: number;
}

/** @returns the names of the ids that came back different; empty when the lineage holds. */
export function compareLineage(
  sent: Identity,
  instanceId: string,
  attempt: number,
  seen: Partial<SeenIdentity>,
): string[] {
  const expected: ReadonlyArray<readonly [keyof SeenIdentity, unknown]> = [
    ["request_id", sent.requestId],
    ["x_request_id", sent.xRequestId],
    ["trace_id", sent.trace.traceId],
    ["parent_id", sent.trace.spanId],
    ["instance_id", instanceId],
    ["attempt", attempt],
  ];
  return expected.filter(([name, value]) => seen[name] !== value).map(([name]) => name);
}

/** The id fields of a log line inside this request's span. */
export function toLogFields({ requestId, xRequestId, trace }: Identity, spanName: string): Record<string, string> {
  const fields = toSpanFields(trace, spanName);
  fields["request_id"] = requestId;
  if (xRequestId !== undefined) fields["x_request_id"] = xRequestId;
  return fields;
}

/** Those of them that say where in the trace it is. */
export function toSpanFields(trace: TraceContext, spanName: string): Record<string, string> {
  const fields: Record<string, string> = {
    span_id: trace.spanId,
    span_name: spanName,
    trace_flags: trace.flags.toString(16).padStart(2, "0"),
    trace_id: trace.traceId,
  };
  if (trace.parentId !== undefined) fields["parent_id"] = trace.parentId;
  if (trace.tracestate !== undefined) fields["tracestate"] = trace.tracestate;
  return fields;
}
