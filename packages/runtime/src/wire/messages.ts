/** Bodies of all frames but HELLO and ITEMS: plain functions from message to bytes and back. Layouts: docs/wire-format.md. */
import { countOf } from "../counts.ts";
import { isErrorCode, RuntimeError, type ErrorCode } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import type { SeenIdentity } from "../trace/identity.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { frameTypes, type FrameType } from "./frames.ts";
import { readUtf8 } from "./items.ts";
import { decodeMap, encodeOwn, isMap } from "./payload.ts";

/** One REQUEST. */
export interface RequestMessage {
  /** `namespace/component/endpoint`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** 0 for the first try. */
  readonly attempt: number;
  /** Time left in ms; 0 means no deadline. */
  readonly deadlineMs: number;
  /** Bytes of items the worker may send before the first CREDIT. */
  readonly credit: number;
  /** msgpack. */
  readonly payload: Uint8Array;
}

/** What a worker reports when a stream ends, well or not. */
export interface Trailer {
  readonly seen: SeenIdentity;
  readonly items: number;
  readonly elapsed_ms: number;
  readonly ttft_ms?: number;
}

/** One ERROR: of a stream, or of the whole connection on stream 0. */
export interface ErrorMessage {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  /** True if at least one item was sent before. */
  readonly produced: boolean;
  readonly trailer?: Partial<Trailer>;
}

/** `stop`: end early and politely, what is under way is still wanted. `kill`: nobody reads any more. */
export type CancelMode = "stop" | "kill";

const maxText16 = 0xffff;
/** At most 3072 bytes of UTF-8: an ERROR with its trailer fits into the least frame limit. */
const maxMessageChars = 1024;
const maxCodeChars = 64;
const connectionStream = 0;

// Layout: a msgpack map. Its texts must be well-formed.
function encodeMapFrame(writer: FrameWriter, type: FrameType, streamId: number, map: object): void {
  const body = encodeOwn(map);
  writer.begin(type, streamId);
  writer.bytes(body);
  writer.end();
}

/** Layout: u16+path · u8 attempt · u32 deadline ms · u32 credit · u16 header count · (u16+name · u16+value)* · payload. */
export function encodeRequest(writer: FrameWriter, streamId: number, request: RequestMessage): void {
  const headers = Object.entries(request.headers);
  assertRequest(request, headers);
  writer.begin(frameTypes.REQUEST, streamId);
  writer.text16(request.path);
  writer.u8(Math.min(request.attempt, 0xff));
  writer.u32(request.deadlineMs);
  writer.u32(request.credit);
  writer.u16(headers.length);
  for (const [name, value] of headers) {
    writer.text16(name);
    writer.text16(value);
  }
  writer.bytes(request.payload);
  writer.end();
}

// Everything that could throw half-way through the frame is checked before it is begun.
function assertRequest(
  { path, deadlineMs, credit }: RequestMessage,
  headers: readonly (readonly [string, string])[],
): void {
  if (!isU32(deadlineMs) || !isU32(credit))
    throw new RuntimeError("invalid_argument", `deadline ${deadlineMs} ms or credit ${credit} is no u32`);
  if (headers.length > maxText16) throw new RuntimeError("too_large", `${headers.length} headers, limit ${maxText16}`);
  assertText16(path);
  for (const [name, value] of headers) {
    assertText16(name);
    assertText16(value);
  }
}

function isU32(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
}

function assertText16(text: string): void {
  if (3 * text.length > maxText16 && Buffer.byteLength(text) > maxText16)
    throw new RuntimeError("too_large", `a path or header is longer than ${maxText16} bytes`);
}

/** Size of the body that encodeRequest writes. */
export function requestBytes({ path, headers, payload }: Omit<RequestMessage, "credit">): number {
  let size = 2 + Buffer.byteLength(path) + 1 + 4 + 4 + 2 + payload.length;
  for (const [name, value] of Object.entries(headers)) size += 4 + Buffer.byteLength(name) + Buffer.byteLength(value);
  return size;
}

/** `payload` is a view of `body`. @throws RuntimeError `protocol` on a truncated body or bad UTF-8. */
export function decodeRequest(body: Buffer): RequestMessage {
  const reader = createReader(body, "REQUEST");
  const path = reader.text16();
  const attempt = reader.u8();
  const deadlineMs = reader.u32();
  const credit = reader.u32();
  const headers: Record<string, string> = Object.create(null) as Record<string, string>; // no prototype: a header may be named __proto__
  for (let left = reader.u16(); left > 0; left -= 1) {
    const name = reader.text16();
    headers[name] = reader.text16();
  }
  return { path, headers, attempt, deadlineMs, credit, payload: reader.rest() };
}

interface Reader {
  u8(): number;
  u16(): number;
  u32(): number;
  text16(): string;
  rest(): Buffer;
  /** @throws RuntimeError `protocol` if bytes are left. */
  end(): void;
}

function createReader(body: Buffer, what: string): Reader {
  let at = 0;
  const advance = (size: number): number => {
    if (at + size > body.length)
      throw new RuntimeError("protocol", `${what} frame of ${countOf(body.length, "byte")} is truncated`);
    at += size;
    return at - size;
  };
  const u16 = (): number => body.readUInt16BE(advance(2));
  return {
    u8: () => body.readUInt8(advance(1)),
    u16,
    u32: () => body.readUInt32BE(advance(4)),
    text16() {
      const size = u16();
      const start = advance(size);
      return readUtf8(body, start, start + size);
    },
    rest: () => body.subarray(advance(body.length - at)),
    end() {
      if (at < body.length)
        throw new RuntimeError("protocol", `${what} frame has ${countOf(body.length - at, "byte")} too many`);
    },
  };
}

/** Layout: a msgpack map. */
export function encodeEnd(writer: FrameWriter, streamId: number, trailer: Trailer): void {
  encodeMapFrame(writer, frameTypes.END, streamId, trailer);
}

/** Missing or mistyped parts and other fields are left out, but there always is a `seen`: what it lacks shows as a lineage mismatch, not as a broken stream. */
export function decodeEnd(body: Buffer): Partial<Trailer> {
  const map = decodeMap(body, "END");
  return toTrailer(isMap(map["seen"]) ? map : { ...map, seen: {} });
}

function toTrailer(map: Readonly<Record<string, unknown>>): Partial<Trailer> {
  const { seen, items, elapsed_ms, ttft_ms } = map;
  return {
    ...(isMap(seen) && { seen: toSeen(seen) as unknown as SeenIdentity }), // every field is compared with what was sent, never trusted
    ...(typeof items === "number" && { items }),
    ...(typeof elapsed_ms === "number" && { elapsed_ms }),
    ...(typeof ttft_ms === "number" && { ttft_ms }),
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

/** Layout: a msgpack map. The message is cut to 1024 characters. */
export function encodeError(writer: FrameWriter, streamId: number, error: ErrorMessage): void {
  encodeMapFrame(writer, frameTypes.ERROR, streamId, { ...error, message: excerpt(error.message, maxMessageChars) });
}

/** A code this build does not know is `internal`, and the message names it. */
export function decodeError(body: Buffer): ErrorMessage {
  const { code, message, retryable, produced, trailer } = decodeMap(body, "ERROR");
  const text = typeof message === "string" ? excerpt(message, maxMessageChars) : "";
  const shown =
    typeof code === "string" ? JSON.stringify(excerpt(code, maxCodeChars)) : `a value of type ${typeof code}`;
  return {
    code: isErrorCode(code) ? code : "internal",
    message: isErrorCode(code) ? text : `${shown} is no error code; the message was: ${text}`,
    retryable: retryable === true,
    produced: produced === true,
    ...(isMap(trailer) && { trailer: toTrailer(trailer) }),
  };
}

/** Layout: u8, 0 = stop (finish early and politely), 1 = kill. */
export function encodeCancel(writer: FrameWriter, streamId: number, mode: CancelMode): void {
  writer.begin(frameTypes.CANCEL, streamId);
  writer.u8(mode === "stop" ? 0 : 1);
  writer.end();
}

/** @throws RuntimeError `protocol` on a mode that is neither. */
export function decodeCancel(body: Buffer): CancelMode {
  const reader = createReader(body, "CANCEL");
  const mode = reader.u8();
  reader.end();
  if (mode > 1) throw new RuntimeError("protocol", `CANCEL has mode ${mode}, expected 0 or 1`);
  return mode === 0 ? "stop" : "kill";
}

/** Layout: u32 bytes granted on top of what is left. */
export function encodeCredit(writer: FrameWriter, streamId: number, bytes: number): void {
  writer.begin(frameTypes.CREDIT, streamId);
  writer.u32(bytes);
  writer.end();
}

/** @returns bytes. @throws RuntimeError `protocol` if there are none. */
export function decodeCredit(body: Buffer): number {
  const reader = createReader(body, "CREDIT");
  const bytes = reader.u32();
  reader.end();
  if (bytes === 0) throw new RuntimeError("protocol", "CREDIT grants 0 bytes");
  return bytes;
}

/** Layout: 8 bytes that PONG repeats. */
export function encodePing(writer: FrameWriter, type: "PING" | "PONG", opaque: Uint8Array): void {
  writer.begin(frameTypes[type], connectionStream);
  writer.bytes(opaque);
  writer.end();
}

/** Layout: UTF-8 reason. The sender accepts no REQUEST that it reads after this. */
export function encodeGoaway(writer: FrameWriter, reason: string): void {
  writer.begin(frameTypes.GOAWAY, connectionStream);
  writer.bytes(Buffer.from(reason.slice(0, maxMessageChars)));
  writer.end();
}

/** Three names of 128 characters. */
const maxPathBytes = 386;

/** Layout: UTF-8 path of an endpoint that the sender is about to serve no more. */
export function encodeWithdraw(writer: FrameWriter, path: string): void {
  writer.begin(frameTypes.WITHDRAW, connectionStream);
  writer.bytes(Buffer.from(path));
  writer.end();
}

/** @throws RuntimeError `protocol` on a path that is empty, too long or no UTF-8. */
export function decodeWithdraw(body: Buffer): string {
  if (body.length === 0 || body.length > maxPathBytes)
    throw new RuntimeError("protocol", `WITHDRAW names a path of ${body.length} bytes`);
  return readUtf8(body, 0, body.length);
}
