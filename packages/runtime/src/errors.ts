/** What can go wrong, in one table: code → HTTP status, API error types, metric label, and whether another worker may try. */

/** The facts that follow from one error code. `openai` and `anthropic` are the `type` strings of those APIs. */
export interface ErrorTraits {
  readonly status: number;
  readonly openai: { readonly type: string; readonly code: string | null };
  readonly anthropic: string;
  /** Value of the `error_type` label and log field. */
  readonly metric: string;
  /** Fixed text of the `error_detail` log field. */
  readonly detail: string;
  /** True if another instance may be tried while nothing has been delivered. */
  readonly retryable: boolean;
  /** What clients read instead of the message: details of these name workers' addresses or speak of faults of ours. */
  readonly publicMessage?: string;
}

function traits(
  status: number,
  openai: [type: string, code: string | null],
  anthropic: string,
  metric: string,
  detail: string,
  retryable = false,
  publicMessage?: string,
): ErrorTraits {
  const facts = { status, openai: { type: openai[0], code: openai[1] }, anthropic, metric, detail, retryable };
  return publicMessage === undefined ? facts : { ...facts, publicMessage };
}

const invalid = "invalid_request_error";
const badRequest = "invalid request parameters";
const fault = "internal server error during processing";
const hidden = "Internal server error";
const noWorker = "no backend worker available";
const unavailable: [string, string] = ["server_error", "service_unavailable"];
const lost: [string, string] = ["server_error", "worker_disconnected"];

/** The closed set of error codes of the plane, of engines and of the HTTP side. */
export type ErrorCode =
  | "invalid_argument"
  | "unauthenticated"
  | "not_found"
  | "unknown_route"
  | "method_not_allowed"
  | "too_large"
  | "unsupported_media_type"
  | "cancelled"
  | "internal"
  | "protocol"
  | "unimplemented"
  | "unavailable"
  | "cannot_connect"
  | "disconnected"
  | "deadline_exceeded"
  | "overloaded";

/** What follows from each code. */
export const errorTable: Readonly<Record<ErrorCode, ErrorTraits>> = {
  invalid_argument: traits(400, [invalid, null], invalid, "validation", badRequest),
  unauthenticated: traits(401, ["authentication_error", "invalid_api_key"], "authentication_error", "validation", badRequest),
  not_found: traits(404, [invalid, "model_not_found"], "not_found_error", "not_found", "model or resource not found"),
  unknown_route: traits(404, [invalid, "unknown_url"], "not_found_error", "not_found", "model or resource not found"),
  method_not_allowed: traits(405, [invalid, "method_not_allowed"], invalid, "validation", badRequest),
  too_large: traits(413, [invalid, "request_too_large"], "request_too_large", "validation", badRequest),
  unsupported_media_type: traits(415, [invalid, "unsupported_media_type"], invalid, "validation", badRequest),
  cancelled: traits(499, ["request_cancelled", "cancelled"], "request_cancelled", "cancelled", "cancelled before completion"),
  internal: traits(500, ["server_error", "internal_error"], "api_error", "internal", fault, false, hidden),
  protocol: traits(500, ["server_error", "protocol_error"], "api_error", "internal", fault, false, hidden),
  unimplemented: traits(501, [invalid, "unsupported"], invalid, "not_implemented", "requested feature not implemented"),
  unavailable: traits(503, unavailable, "overloaded_error", "unavailable", noWorker, true),
  cannot_connect: traits(503, unavailable, "overloaded_error", "unavailable", noWorker, true, "the worker could not be reached"),
  disconnected: traits(503, lost, "overloaded_error", "unavailable", noWorker, true, "the connection to the worker was lost"),
  deadline_exceeded: traits(504, ["server_error", "timeout"], "timeout_error", "response_timeout", "deadline exceeded"),
  overloaded: traits(529, ["overloaded_error", "overloaded"], "overloaded_error", "overload", "service overloaded or rate limited", true),
};

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(errorTable, value);
}

/** Every failure the runtime raises. `message` names what happened with the numbers; peers switch on `code`. */
export class RuntimeError extends Error {
  override readonly name = "RuntimeError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  get traits(): ErrorTraits {
    return errorTable[this.code];
  }
}

/** What a client may read of an error. */
export function toPublicMessage({ message, traits: { publicMessage } }: RuntimeError): string {
  return publicMessage ?? message;
}

/** The one place where something thrown by foreign code becomes a RuntimeError: aborts keep their meaning, the rest is `internal`. */
export function toRuntimeError(thrown: unknown): RuntimeError {
  if (thrown instanceof RuntimeError) return thrown;
  if (thrown instanceof Error) {
    if (thrown.name === "TimeoutError") return new RuntimeError("deadline_exceeded", thrown.message, { cause: thrown });
    if (thrown.name === "AbortError") return new RuntimeError("cancelled", thrown.message, { cause: thrown });
    return new RuntimeError("internal", thrown.message, { cause: thrown });
  }
  return new RuntimeError("internal", `a value that is no Error was thrown: ${String(thrown)}`, { cause: thrown });
}
