/** msgpack payloads, made safe: what a peer sends is plain data of bounded depth, or one `protocol` error. */
import { Packr, Unpackr, type Options } from "msgpackr";
import { RuntimeError } from "../errors.ts";

// `undefined` becomes nil: msgpackr's own extension for it is unreadable to other implementations.
const packr = new Packr({ useRecords: false, variableMapSize: true, encodeUndefinedAsNil: true });
// "auto": a number when it is exact, else a bigint. The published types do not know the word yet.
const unpackr = new Unpackr({ useRecords: false, int64AsType: "auto" as Exclude<Options["int64AsType"], undefined> });
const maxDepth = 64;

/** Encode plain data (null, boolean, number, bigint, string, Uint8Array, arrays and objects of these). @throws RuntimeError `invalid_argument` on other data, or what decodePayload would refuse as too deep. */
export function encodePayload(value: unknown): Buffer {
  let bytes: Buffer;
  try {
    bytes = packr.pack(value);
  } catch (cause) {
    assertDepth(value);
    throw new RuntimeError("invalid_argument", `a value cannot be encoded as msgpack: ${String(cause)}`, { cause });
  }
  if (bytes.length > maxDepth) assertDepth(value); // each level takes a byte at least
  return bytes;
}

function assertDepth(value: unknown): void {
  if (!isDeeper(value, maxDepth)) return;
  const part = isMap(value) ? Object.keys(value).find((key) => isDeeper(value[key], maxDepth - 1)) : undefined;
  throw new RuntimeError("invalid_argument", `${part ?? "the value"} is nested deeper than ${maxDepth} levels`);
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return false;
  if (levels === 0) return true;
  if (Array.isArray(value)) {
    for (const inner of value) if (isDeeper(inner, levels - 1)) return true;
    return false;
  }
  for (const key in value) if (isDeeper((value as Record<string, unknown>)[key], levels - 1)) return true; // any object may be read by key
  return false;
}

/** Decode exactly one value. @throws RuntimeError `protocol` on bad bytes, extension types, or nesting deeper than 64. */
export function decodePayload(bytes: Uint8Array, what: string): unknown {
  let value: unknown;
  try {
    value = unpackr.unpack(bytes);
  } catch (cause) {
    throw new RuntimeError("protocol", `${what} of ${bytes.length} bytes is not msgpack`, { cause });
  }
  assertPlain(value, what, 0);
  return value;
}

/** As decodePayload, for a value that must be a map. */
export function decodeMap(bytes: Uint8Array, what: string): Readonly<Record<string, unknown>> {
  const value = decodePayload(bytes, what);
  if (!isMap(value)) throw new RuntimeError("protocol", `${what} is not a msgpack map`);
  return value;
}

export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

// msgpackr turns the reserved byte 0xc1 and its own extensions (records, pointers, dates, errors) into objects: none is plain data.
function assertPlain(value: unknown, what: string, depth: number): void {
  if (typeof value !== "object" || value === null) {
    if (value === undefined || typeof value === "function" || typeof value === "symbol")
      throw new RuntimeError("protocol", `${what} holds no plain data`);
    return;
  }
  if (depth >= maxDepth) throw new RuntimeError("protocol", `${what} is nested deeper than ${maxDepth} levels`);
  if (Array.isArray(value)) {
    for (const inner of value) assertPlain(inner, what, depth + 1);
    return;
  }
  if (value instanceof Uint8Array) return;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw new RuntimeError("protocol", `${what} holds a msgpack extension type`);
  for (const key in value) assertPlain((value as Record<string, unknown>)[key], what, depth + 1); // `value` is a plain object: just checked
}
