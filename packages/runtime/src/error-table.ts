/** What can go wrong, in one table: code → HTTP status, API error types, metric label, and whether another worker may try. */

/** Values of the `error_type` label and log field, each with the fixed text of `error_detail` (Dynamo llm http/service/metrics.rs). */
const details = {
  validation: "invalid request parameters",
  not_found: "model or resource not found",
  cancelled: "cancelled before completion",
  internal: "internal server error during processing",
  not_implemented: "requested feature not implemented",
  unavailable: "no backend worker available",
  response_timeout: "deadline exceeded",
  overload: "service overloaded or rate limited",
} as const;

/** The closed set of error codes of the plane, of engines and of the HTTP side. */
export type ErrorCode =
  | "invalid_argument"
  | "unauthenticated"
  | "not_found"
  | "unknown_route"
  | "unknown_request"
  | "method_not_allowed"
  | "too_large"
  | "unsupported_media_type"
  | "misdirected"
  | "poisoned"
  | "rate_limited"
  | "cancelled"
  | "internal"
  | "protocol"
  | "unimplemented"
  | "unavailable"
  | "cannot_connect"
  | "disconnected"
  | "deadline_exceeded"
  | "overloaded";

interface Row {
  readonly status: number;
  /** `type` and `code` of OpenAI's errors. */
  readonly openai: readonly [type: string, code: string | null];
  /** `type` of Anthropic's errors. */
  readonly anthropic: string;
  readonly metric: keyof typeof details;
  /** True if another instance may be tried while nothing has been delivered. */
  readonly retryable?: true;
  /** What clients read instead of the message: details of these name workers' addresses or speak of faults of ours. */
  readonly publicMessage?: string;
  /** When it is raised. */
  readonly meaning: string;
}

/** The facts that follow from one error code. */
export interface ErrorTraits extends Omit<Row, "retryable"> {
  readonly retryable: boolean;
  /** Fixed text of the `error_detail` log field. */
  readonly detail: string;
}

const rows: Readonly<Record<ErrorCode, Row>> = {
  invalid_argument: {
    status: 400,
    openai: ["invalid_request_error", null],
    anthropic: "invalid_request_error",
    metric: "validation",
    meaning: "a field, a header or the body is wrong; the message names it",
  },
  unauthenticated: {
    status: 401,
    openai: ["authentication_error", "invalid_api_key"],
    anthropic: "authentication_error",
    metric: "validation",
    meaning: "the caller did not prove who it is",
  },
  not_found: {
    status: 404,
    openai: ["invalid_request_error", "model_not_found"],
    anthropic: "not_found_error",
    metric: "not_found",
    meaning: "no worker has registered that model",
  },
  unknown_route: {
    status: 404,
    openai: ["invalid_request_error", "unknown_url"],
    anthropic: "not_found_error",
    metric: "not_found",
    meaning: "nothing is served at that path",
  },
  unknown_request: {
    status: 404,
    openai: ["invalid_request_error", "request_not_found"],
    anthropic: "not_found_error",
    metric: "not_found",
    meaning: "the frontend remembers no request with that id",
  },
  method_not_allowed: {
    status: 405,
    openai: ["invalid_request_error", "method_not_allowed"],
    anthropic: "invalid_request_error",
    metric: "validation",
    meaning: "the path is served under other methods, named by `allow`",
  },
  too_large: {
    status: 413,
    openai: ["invalid_request_error", "request_too_large"],
    anthropic: "request_too_large",
    metric: "validation",
    meaning: "the body, or the request on the plane, is over a limit; the message names it",
  },
  unsupported_media_type: {
    status: 415,
    openai: ["invalid_request_error", "unsupported_media_type"],
    anthropic: "invalid_request_error",
    metric: "validation",
    meaning: "the body is not said to be JSON in UTF-8, or it is in a coding that is not served",
  },
  misdirected: {
    status: 421,
    openai: ["invalid_request_error", "host_not_allowed"],
    anthropic: "invalid_request_error",
    metric: "validation",
    meaning: "the request is for a host that is not served; the message says what to set",
  },
  poisoned: {
    // Every client library tries a 5xx again, and each try might take two more workers (openai, @anthropic-ai/sdk, LangChain, the Vercel AI SDK, LiteLLM).
    status: 400,
    openai: ["invalid_request_error", "poisoned_request"],
    anthropic: "invalid_request_error",
    metric: "internal",
    meaning:
      "workers were lost while they ran the request, two in a row or as many as it may go on after; the message names it",
  },
  rate_limited: {
    status: 429,
    openai: ["rate_limit_error", "rate_limit_exceeded"],
    anthropic: "rate_limit_error",
    metric: "overload",
    meaning: "an engine, or the service behind it, takes no more of this client's requests for now",
  },
  cancelled: {
    status: 499,
    openai: ["request_cancelled", "cancelled"],
    anthropic: "request_cancelled",
    metric: "cancelled",
    meaning: "the client left, or the caller aborted; nobody reads this answer",
  },
  internal: {
    status: 500,
    openai: ["server_error", "internal_error"],
    anthropic: "api_error",
    metric: "internal",
    publicMessage: "Internal server error",
    meaning: "a fault of an engine or of dyn; what it was is in the log",
  },
  protocol: {
    status: 500,
    openai: ["server_error", "protocol_error"],
    anthropic: "api_error",
    metric: "internal",
    publicMessage: "Internal server error",
    meaning: "a peer on the plane broke its rules, or answered more than it was asked for or may; how is in the log",
  },
  unimplemented: {
    status: 501,
    openai: ["invalid_request_error", "unsupported"],
    anthropic: "invalid_request_error",
    metric: "not_implemented",
    meaning: "an engine does not do what is asked",
  },
  unavailable: {
    status: 503,
    openai: ["server_error", "service_unavailable"],
    anthropic: "overloaded_error",
    metric: "unavailable",
    retryable: true,
    meaning:
      "nobody to serve the request, or who there is drains; also for 30 s after the last worker of a model has left",
  },
  cannot_connect: {
    status: 503,
    openai: ["server_error", "service_unavailable"],
    anthropic: "overloaded_error",
    metric: "unavailable",
    retryable: true,
    publicMessage: "the worker could not be reached",
    meaning: "a worker is registered but cannot be dialled",
  },
  disconnected: {
    status: 503,
    openai: ["server_error", "worker_disconnected"],
    anthropic: "overloaded_error",
    metric: "unavailable",
    retryable: true,
    publicMessage: "the connection to the worker was lost",
    meaning: "a worker's connection ended before its answer did",
  },
  deadline_exceeded: {
    status: 504,
    openai: ["server_error", "timeout"],
    anthropic: "timeout_error",
    metric: "response_timeout",
    meaning: "the time for the answer is over",
  },
  overloaded: {
    status: 529,
    openai: ["overloaded_error", "overloaded"],
    anthropic: "overloaded_error",
    metric: "overload",
    retryable: true,
    meaning:
      "a limit of requests at a time, or of the memory for them, has been reached; `--http-overload-status-code` sets the status",
  },
};

function toTable(): Readonly<Record<ErrorCode, ErrorTraits>> {
  const entries = Object.entries(rows).map(([code, row]) => [
    code,
    { ...row, retryable: row.retryable === true, detail: details[row.metric] },
  ]);
  return Object.fromEntries(entries) as Record<ErrorCode, ErrorTraits>; // rows has every code
}

/** What follows from each code. */
export const errorTable: Readonly<Record<ErrorCode, ErrorTraits>> = toTable();

/** True for a code of the closed set; peers and plain JavaScript may give anything. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(errorTable, value);
}
