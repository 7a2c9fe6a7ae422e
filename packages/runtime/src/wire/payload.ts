/** msgpack payloads, made safe: what a peer sends is plain data of bounded depth, or one `protocol` error. */
import { Packr, Unpackr, type Options } from "msgpackr";
import { RuntimeError } from "../errors.ts";
import { findMsgpackProblem, maxDepth, msgpackProblems, type MsgpackProblem } from "./msgpack-check.ts";

// `undefined` becomes nil: msgpackr's own extension for it is unreadable to other implementations.
const packr = new Packr({ useRecords: false, variableMapSize: true, encodeUndefinedAsNil: true });
// "auto": a number when it is exact, else a bigint. The published types do not know the word yet.
const unpackr = new Unpackr({ useRecords: false, int64AsType: "auto" as Exclude<Options["int64AsType"], undefined> });

/** Encode plain data (null, boolean, number, bigint, string, Uint8Array, arrays and objects of these). Half a surrogate pair becomes U+FFFD.
 *  @throws RuntimeError `invalid_argument` on what decodePayload would refuse. */
export function encodePayload(value: unknown): Buffer {
  let sent = value;
  let bytes = pack(sent);
  let problem = findMsgpackProblem(bytes);
  if (problem === "text") {
    sent = toWellFormed(value); // the encoder writes half a pair as it is
    bytes = pack(sent);
    problem = findMsgpackProblem(bytes);
  }
  if (problem !== undefined) throw new RuntimeError("invalid_argument", `${blame(sent, problem)} ${msgpackProblems[problem]}`);
  return bytes;
}

function pack(value: unknown): Buffer {
  try {
    return packr.pack(value);
  } catch (cause) {
    if (isDeeper(value, maxDepth)) throw new RuntimeError("invalid_argument", `${blame(value, "depth")} ${msgpackProblems.depth}`, { cause });
    throw new RuntimeError("invalid_argument", `a value cannot be encoded as msgpack: ${String(cause)}`, { cause });
  }
}

// Which part of a map it is.
function blame(value: unknown, problem: MsgpackProblem): string {
  const part = isMap(value) ? Object.keys(value).find((key) => isToBlame(value[key], problem)) : undefined;
  return part ?? "the value";
}

function isToBlame(part: unknown, problem: MsgpackProblem): boolean {
  try {
    return findMsgpackProblem(packr.pack([part])) === problem; // as deep as it stands in its map
  } catch {
    return problem === "depth" && isDeeper(part, maxDepth - 1); // deeper than the encoder's stack, perhaps
  }
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}

function toWellFormed(value: unknown): unknown {
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) return value.map(toWellFormed);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value; // its encoding is its own
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key.toWellFormed(), toWellFormed(inner)]));
}

/** Decode exactly one value. @throws RuntimeError `protocol` on bad bytes, extension types, and what passes the limits of docs/wire-format.md. */
export function decodePayload(bytes: Uint8Array, what: string): unknown {
  // First, because the decoder trusts its bytes: references between values make a few hundred of them an endless walk.
  const problem = findMsgpackProblem(bytes);
  if (problem !== undefined) throw new RuntimeError("protocol", `${what} ${msgpackProblems[problem]}`);
  try {
    return unpackr.unpack(bytes);
  } catch (cause) {
    throw new RuntimeError("protocol", `${what} of ${bytes.length} bytes is not msgpack`, { cause });
  }
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
