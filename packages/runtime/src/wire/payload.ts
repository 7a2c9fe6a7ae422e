/** msgpack payloads, made safe: what a peer sends is plain data of bounded depth, or one `protocol` error. */
// Without its native part, which is not faster here, and twice as slow on long texts that are not ASCII.
import { Packr, Unpackr } from "msgpackr/pack";
import type { Options } from "msgpackr";
import { countOf } from "../counts.ts";
import { RuntimeError } from "../errors.ts";
import { checkMsgpack, msgpackProblems } from "./msgpack-check.ts";
import { findForeign } from "./plain.ts";

// `undefined` becomes nil: msgpackr's own extension for it is unreadable to other implementations.
const packr = new Packr({ useRecords: false, variableMapSize: true, encodeUndefinedAsNil: true, useToJSON: false });
// "auto": a number when it is exact, else a bigint. The published types do not know the word yet.
const reading: Options = { useRecords: false, int64AsType: "auto" as Exclude<Options["int64AsType"], undefined> };
const unpackr = new Unpackr(reading);
const mapUnpackr = new Unpackr({ ...reading, mapsAsObjects: false });

/** Encode plain data (null, boolean, number, bigint of 64 bits, string, Uint8Array, arrays and objects of these); undefined becomes null.
 *  @throws RuntimeError `invalid_argument` naming the place of what would not arrive as it is, or of what decodePayload would refuse. */
export function encodePayload(value: unknown): Buffer {
  const foreign = attempt(() => findForeign(value));
  if (foreign !== undefined) throw new RuntimeError("invalid_argument", foreign);
  return attempt(() => packr.pack(value));
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
  const { problem, mayHoldProto } = checkMsgpack(bytes);
  if (problem !== undefined) throw new RuntimeError("protocol", `${what} ${msgpackProblems[problem]}`);
  try {
    return mayHoldProto ? toObjects(mapUnpackr.unpack(bytes)) : unpackr.unpack(bytes);
  } catch (cause) {
    throw new RuntimeError("protocol", `${what} of ${countOf(bytes.length, "byte")} is not msgpack`, { cause });
  }
}

// msgpackr gives the key `__proto__` another name, lest it sets a prototype.
function toObjects(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toObjects);
  if (!(value instanceof Map)) return value;
  const object: Record<string, unknown> = {};
  for (const [key, inner] of value) {
    if (typeof key === "object" && key !== null) throw new TypeError("a key is no scalar");
    Object.defineProperty(object, String(key), {
      value: toObjects(inner),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return object;
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
