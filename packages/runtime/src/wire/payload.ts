/** msgpack payloads, made safe: what a peer sends is plain data of bounded depth, or one `protocol` error. */
// Without its native part, which is not faster here, and twice as slow on long texts that are not ASCII.
import { Packr, Unpackr } from "msgpackr/pack";
import type { Options } from "msgpackr";
import { countOf } from "../counts.ts";
import { RuntimeError } from "../errors.ts";
import { checkMsgpack, msgpackProblems } from "./msgpack-check.ts";
import { lookThrough } from "./plain.ts";
import { fromTagged, toTagged } from "./tagged.ts";

// `undefined` becomes nil: msgpackr's own extension for it is unreadable to other implementations.
const packr = new Packr({ useRecords: false, variableMapSize: true, encodeUndefinedAsNil: true, useToJSON: false });
// "auto": a number when it is exact, else a bigint. The published types do not know the word yet.
// Binary data is copied: a view would change with the chunk that it came in, and keep all of it.
const reading: Options = {
  useRecords: false,
  int64AsType: "auto" as Exclude<Options["int64AsType"], undefined>,
  copyBuffers: true,
};
const unpackr = new Unpackr(reading);
const mapUnpackr = new Unpackr({ ...reading, mapsAsObjects: false });

/** Encode plain data: null, boolean, number, bigint, string, Uint8Array and its like, Date, and arrays, objects, Maps and Sets of these; undefined becomes null.
 *  @throws RuntimeError `invalid_argument` naming the place of what would not arrive as it is, or of what decodePayload would refuse. */
export function encodePayload(value: unknown): Buffer {
  const { foreign, hasTagged } = attempt(() => lookThrough(value));
  if (foreign !== undefined) throw new RuntimeError("invalid_argument", foreign);
  return attempt(() => packr.pack(hasTagged ? toTagged(value) : value));
}

/** Encode a value that this code has made itself: nothing in it needs a check. */
export function encodeOwn(value: object): Buffer {
  return packr.pack(value);
}

/** Bytes of a value once it is encoded. @throws as `encodePayload`. */
export function payloadBytes(value: unknown): number {
  return encodePayload(value).length;
}

// Getters and traps of a value are foreign code.
function attempt<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (cause) {
    throw new RuntimeError("invalid_argument", "the value cannot be read", { cause });
  }
}

/** Decode exactly one value. @throws RuntimeError `protocol` on bad bytes, extension types, and what passes the limits of docs/wire-format.md. */
export function decodePayload(bytes: Uint8Array, what: string): unknown {
  // First, because the decoder trusts its bytes: references between values make a few hundred of them an endless walk.
  const { problem, needsMaps, hasBytes } = checkMsgpack(bytes);
  if (problem !== undefined) throw new RuntimeError("protocol", `${what} ${msgpackProblems[problem]}`);
  // A copy of a Buffer's part is a Buffer, and of a Uint8Array's one of these.
  const source = hasBytes ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) : bytes;
  try {
    // Where there may be a key `__proto__`, too, which msgpackr gives another name, lest it sets a prototype.
    return needsMaps ? fromTagged(mapUnpackr.unpack(source)) : unpackr.unpack(source);
  } catch (cause) {
    throw new RuntimeError("protocol", `${what} of ${countOf(bytes.length, "byte")} is not msgpack`, { cause });
  }
}

/** As decodePayload, for a value that must be a map. */
export function decodeMap(bytes: Uint8Array, what: string): Readonly<Record<string, unknown>> {
  const value = decodePayload(bytes, what);
  if (!isMap(value)) throw new RuntimeError("protocol", `${what} is not a msgpack map`);
  return value;
}

/** True for what decodes from a msgpack map. */
export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}
