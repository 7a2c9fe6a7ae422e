/** What the upstream says went wrong, in the codes of dyn. */
import type { IncomingHttpHeaders } from "node:http";
import { RuntimeError, type ErrorCode, type RuntimeErrorOptions } from "@dyn/runtime";
import { excerpt, isMap } from "@dyn/runtime/internal";

/** An error as OpenAI-compatible servers write it, as far as it is one. */
interface Told {
  readonly message: string;
  readonly status?: number;
  readonly type?: string;
  readonly code?: string;
  readonly param?: string;
}

const maxRetryAfterMs = 86_400_000;
const maxParamChars = 256;
const maxMessageChars = 2_000;
const apiCodeShape = /^[\w.-]{1,64}$/;

/** The error of an answer whose status is none of success; `body` is the beginning of its text. */
export function toStatusError(status: number, headers: IncomingHttpHeaders, body: string): RuntimeError {
  if (status >= 300 && status < 400)
    return new RuntimeError(
      "unavailable",
      `the upstream redirects to ${excerpt(headers.location ?? "nowhere", maxMessageChars)}, which is not followed: see --url`,
      { publicMessage: "the server behind this worker is somewhere else" },
    );
  const told = findError(parse(body)) ?? {
    message: excerpt(body.trim() === "" ? "an empty body" : body, maxMessageChars),
  };
  return toError(told, status, readRetryAfter(headers, Date.now()));
}

/** The error that an event or a body with status 200 tells of; undefined if it tells of none. */
export function findToldError(value: unknown): RuntimeError | undefined {
  const told = findError(value);
  return told && toError(told, told.status ?? statusOf(told), undefined);
}

/** The status for types and codes of errors that came with none. */
function statusOf({ type = "", code = "" }: Told): number {
  if (/rate_?limit/.test(`${type} ${code}`)) return 429;
  if (/overloaded/.test(`${type} ${code}`)) return 529;
  if (type === "authentication_error" || type === "permission_error") return 401;
  return /invalid_?request|bad_?request/i.test(type) ? 400 : 500;
}

const badKey = {
  see: "--api-key-file",
  publicMessage: "the server behind this worker does not serve the worker's key",
};
const badPlace = {
  see: "--url and --model-name",
  publicMessage: "the server behind this worker does not serve the model",
};

/** Answers that no client can mend, by their status. */
const operatorFaults: Readonly<Record<number, typeof badKey>> = {
  401: badKey,
  402: badKey,
  403: badKey,
  404: badPlace,
  405: badPlace,
  410: badPlace,
};

// What clients can mend they read in the upstream's words; what operators must mend is in the log.
function toError(told: Told, status: number, retryAfterMs: number | undefined): RuntimeError {
  const { message, code, param } = told;
  const wait = retryAfterMs !== undefined && { retryAfterMs };
  const fault = operatorFaults[status];
  if (fault)
    return new RuntimeError("unavailable", `the upstream answers ${status}, see ${fault.see}: ${message}`, {
      publicMessage: fault.publicMessage,
    });
  if (status >= 400 && status < 500) {
    const options: RuntimeErrorOptions = {
      ...(code !== undefined && apiCodeShape.test(code) && { apiCode: code }),
      ...(param !== undefined && param.length <= maxParamChars && { param }),
      ...(status === 429 && { retryable: true }), // another worker may have a key of its own
      ...wait,
    };
    return new RuntimeError(codes[status] ?? "invalid_argument", message, options);
  }
  const publicMessage = "the server behind this worker failed";
  return new RuntimeError(codes[status] ?? "internal", `the upstream answers ${status}: ${message}`, {
    publicMessage,
    retryable: true,
    ...wait,
  });
}

const codes: Readonly<Record<number, ErrorCode>> = {
  408: "unavailable",
  413: "too_large",
  425: "unavailable",
  429: "rate_limited",
  501: "unimplemented",
  502: "unavailable",
  503: "unavailable",
  504: "unavailable",
  529: "overloaded",
};

// {"error":{message,type,param,code}}, {"error":"text"}, {"object":"error",message,…} of vLLM, {"detail":…} of FastAPI.
function findError(value: unknown): Told | undefined {
  if (!isMap(value)) return undefined;
  const { error, object, detail } = value;
  if (typeof error === "string") return { message: excerpt(error, maxMessageChars) };
  if (isMap(error)) return toTold(error);
  if (object === "error") return toTold(value);
  return detail === undefined
    ? undefined
    : { message: excerpt(typeof detail === "string" ? detail : JSON.stringify(detail), maxMessageChars) };
}

function toTold({ message, type, code, param, status }: Readonly<Record<string, unknown>>): Told {
  const number = [code, status].map(Number).find((each) => Number.isInteger(each) && each >= 400 && each < 600);
  return {
    message: excerpt(typeof message === "string" && message !== "" ? message : "no message", maxMessageChars),
    ...(number !== undefined && { status: number }),
    ...(typeof type === "string" && { type }),
    ...(typeof code === "string" && { code }),
    ...(typeof param === "string" && { param }),
  };
}

/** RFC 9110, 10.2.3: seconds, or a date. `retry-after-ms` is what OpenAI's clients read first. */
export function readRetryAfter(headers: IncomingHttpHeaders, now: number): number | undefined {
  const { "retry-after": after, "retry-after-ms": afterMs } = headers;
  const given = [Number(afterMs ?? Number.NaN), Number(after ?? Number.NaN) * 1_000, Date.parse(after ?? "") - now];
  const ms = given.find((each) => Number.isFinite(each));
  return ms === undefined ? undefined : Math.min(Math.max(0, Math.ceil(ms)), maxRetryAfterMs);
}

/** For an upstream that breaks the rules of its API. */
export function toProtocolError(what: string): RuntimeError {
  return new RuntimeError("protocol", `the upstream sent ${what}`, { retryable: true });
}

export function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
