/** How a stream ends: the bodies of END and ERROR, with what the worker reports. ERROR on stream 0 ends the connection. Layouts: docs/wire-format.md. */
import { isErrorCode, type ErrorCode } from "../error-table.ts";
import { isApiCode, isParam, isRetryAfterMs, maxDetailsBytes, maxParamChars } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import type { SeenIdentity } from "../trace/identity.ts";
import { keepResponseHeaders, type ResponseHeaders } from "../trace/response-headers.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { frameTypes } from "./frames.ts";
import { decodeMap, encodeOwn, isMap, payloadBytes } from "./payload.ts";
import { keepReported, type Reported } from "./reported.ts";
import { kindOf, toTagged } from "./tagged.ts";

/** What a worker reports when a stream ends, well or not. */
export interface Trailer {
  readonly seen: SeenIdentity;
  readonly items: number;
  readonly elapsed_ms: number;
  readonly ttft_ms?: number;
  /** What the handler has reported: at most 32 facts of 2048 bytes. Absent if it was nothing. */
  readonly facts?: Reported;
  /** What the handler has given for the HTTP answer: at most 32 headers of 2048 bytes. Absent if it was nothing. */
  readonly headers?: ResponseHeaders;
}

/** One ERROR: of a stream, or of the whole connection on stream 0. */
export interface ErrorMessage {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  readonly apiCode?: string | undefined;
  readonly param?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  /** Another instance may be tried. */
  readonly retryable: boolean;
  /** Only because a handler was called it is not `retryable`: whoever knows that the request may run twice may try another instance. */
  readonly ifIdempotent?: boolean;
  /** True if at least one item was sent before. */
  readonly produced: boolean;
  readonly trailer?: Partial<Trailer>;
}

/** Of ERROR and GOAWAY. At most 3072 bytes of UTF-8: an ERROR with its trailer fits into the least frame limit. */
export const maxMessageChars = 1024;
const maxCodeChars = 64;

/** Layout: a msgpack map, whose texts must be well-formed. Without headers, where a frame has no room for them. */
export function encodeEnd(writer: FrameWriter, streamId: number, trailer: Trailer): void {
  const body = encodeOwn(trailer);
  writer.begin(frameTypes.END, streamId);
  writer.bytes(body.length <= writer.maxBodyBytes ? body : encodeOwn(withoutHeaders(trailer)));
  writer.end();
}

function withoutHeaders(trailer: Trailer): object {
  const { headers: _, ...rest } = trailer;
  return rest;
}

/** Missing or mistyped parts and other fields are left out, but there always is a `seen`: what it lacks shows as a lineage mismatch, not as a broken stream. */
export function decodeEnd(body: Buffer): Partial<Trailer> {
  const map = decodeMap(body, "END");
  return toTrailer(isMap(map["seen"]) ? map : { ...map, seen: {} });
}

function toTrailer(map: Readonly<Record<string, unknown>>): Partial<Trailer> {
  const { seen, items, elapsed_ms, ttft_ms, facts } = map;
  const headers = keepResponseHeaders(map["headers"]);
  const reported = isMap(facts) ? keepReported(facts) : undefined;
  return {
    ...(isMap(seen) && { seen: toSeen(seen) as unknown as SeenIdentity }), // every field is compared with what was sent, never trusted
    ...(typeof items === "number" && { items }),
    ...(typeof elapsed_ms === "number" && { elapsed_ms }),
    ...(typeof ttft_ms === "number" && { ttft_ms }),
    ...(reported && { facts: reported }),
    ...(headers && { headers }),
  };
}

const seenFields = [
  "request_id",
  "x_request_id",
  "trace_id",
  "parent_id",
  "span_id",
  "instance_id",
  "attempt",
] as const;
/** The longest id is the client's. */
const maxSeenChars = 256;

// It is kept and logged: no more of it than an honest worker says. What is cut short or no scalar still differs from what was sent.
function toSeen(seen: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    seenFields.flatMap((name) => (seen[name] === undefined ? [] : [[name, toSeenValue(seen[name])]])),
  );
}

function toSeenValue(value: unknown): unknown {
  if (typeof value === "string")
    return value.length > maxSeenChars ? `${excerpt(value, maxSeenChars)}…` : excerpt(value);
  return typeof value === "number" ? value : `a value of type ${typeof value}`;
}

/** Layout: a msgpack map. The message is cut to 1024 characters; `details` must be plain data. Without what is said besides the message, where a frame has no room for it. */
export function encodeError(writer: FrameWriter, streamId: number, error: ErrorMessage): void {
  const { code, message, details, apiCode, param, retryAfterMs, retryable, ifIdempotent, produced, trailer } = error;
  const said = {
    code,
    message: excerpt(message, maxMessageChars),
    retryable,
    ...(ifIdempotent && { if_idempotent: true }),
    produced,
    ...(trailer && { trailer }),
  };
  const besides = {
    ...(details && { details: toTagged(details) }),
    ...(apiCode !== undefined && { api_code: apiCode }),
    ...(param !== undefined && { param }),
    ...(retryAfterMs !== undefined && { retry_after_ms: retryAfterMs }),
  };
  const body = encodeOwn({ ...said, ...besides });
  writer.begin(frameTypes.ERROR, streamId);
  writer.bytes(body.length <= writer.maxBodyBytes ? body : encodeOwn(withoutFacts(said)));
  writer.end();
}

function withoutFacts({ trailer, ...said }: { readonly trailer?: Partial<Trailer> }): object {
  if (!trailer) return said;
  const { facts: _, headers: __, ...rest } = trailer;
  return { ...said, trailer: rest };
}

function isDetails(value: unknown): value is Readonly<Record<string, unknown>> {
  return isMap(value) && kindOf(value) === undefined && payloadBytes(value) <= maxDetailsBytes;
}

/** A code this build does not know is `internal`, and the message names it. What is said besides and out of its bounds is left out. */
export function decodeError(body: Buffer): ErrorMessage {
  const map = decodeMap(body, "ERROR");
  const { code, message, details, api_code, param, retry_after_ms, retryable, if_idempotent, produced, trailer } = map;
  const text = typeof message === "string" ? excerpt(message, maxMessageChars) : "";
  const shown =
    typeof code === "string" ? JSON.stringify(excerpt(code, maxCodeChars)) : `a value of type ${typeof code}`;
  return {
    code: isErrorCode(code) ? code : "internal",
    message: isErrorCode(code) ? text : `${shown} is no error code; the message was: ${text}`,
    ...(isDetails(details) && { details }),
    ...(isApiCode(api_code) && { apiCode: api_code }),
    ...(isParam(param) && { param: excerpt(param, maxParamChars) }),
    ...(isRetryAfterMs(retry_after_ms) && { retryAfterMs: retry_after_ms }),
    retryable: retryable === true,
    ...(if_idempotent === true && { ifIdempotent: true }),
    produced: produced === true,
    ...(isMap(trailer) && { trailer: toTrailer(trailer) }),
  };
}
