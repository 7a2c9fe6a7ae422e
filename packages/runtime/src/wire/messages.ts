/** Bodies of all frames but HELLO, AUTH, ITEMS, END and ERROR: plain functions from message to bytes and back. Layouts: docs/wire-format.md. */
import { countOf } from "../counts.ts";
import { RuntimeError } from "../errors.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { maxMessageChars } from "./endings.ts";
import { frameTypes } from "./frames.ts";
import { readUtf8 } from "./items.ts";

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
  /** msgpack; without a byte the request is a stream, whose items follow. */
  readonly payload: Uint8Array;
}

/** What a listener says in HELLO that takes request streams. */
export const requestStreams = "request-streams";
/** The payload of a request stream. */
export const streamPayload: Uint8Array = new Uint8Array();

/** True if ITEMS of the dialler follow, and END. */
export function isRequestStream({ payload }: RequestMessage): boolean {
  return payload.length === 0;
}

/** What a listener says in HELLO that takes a CANCEL `expired`. */
export const expiredCancels = "expired-cancels";

/** `stop`: end early and politely, what is under way is still wanted. `kill`: nobody reads any more. `expired`: the same, since the time of the request is over. */
export type CancelMode = "stop" | "kill" | "expired";

// By their numbers.
const cancelModes: readonly CancelMode[] = ["stop", "kill", "expired"];

const maxText16 = 0xffff;
const connectionStream = 0;

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

/** The END of a request stream, which says nothing more. */
export function encodeRequestEnd(writer: FrameWriter, streamId: number): void {
  writer.begin(frameTypes.END, streamId);
  writer.end();
}

/** @throws RuntimeError `protocol` if it says something. */
export function decodeRequestEnd(body: Buffer): void {
  createReader(body, "END").end();
}

/** Layout: u8, 0 = stop (finish early and politely), 1 = kill, 2 = kill because the time of the request is over. */
export function encodeCancel(writer: FrameWriter, streamId: number, mode: CancelMode): void {
  writer.begin(frameTypes.CANCEL, streamId);
  writer.u8(cancelModes.indexOf(mode));
  writer.end();
}

/** @throws RuntimeError `protocol` on a mode that is none. */
export function decodeCancel(body: Buffer): CancelMode {
  const reader = createReader(body, "CANCEL");
  const number = reader.u8();
  reader.end();
  const mode = cancelModes[number];
  if (mode === undefined) throw new RuntimeError("protocol", `CANCEL has mode ${number}, expected 0, 1 or 2`);
  return mode;
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
