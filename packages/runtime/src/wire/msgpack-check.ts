/** Looks through msgpack before anything is made of it: what is declared must be there, and be plain data of bounded size.
 *  One loop without recursion or calls per value: it runs over every payload that arrives. */
import { isUtf8 } from "node:buffer";

/** Levels of lists and maps in one value. */
export const maxDepth = 64;
/** Lists and maps of one value. Each costs its reader a hundred times its byte. */
export const maxContainers: number = 262_144;
/** Items of lists, keys and values of maps: each may be one byte, and takes eight in memory. */
export const maxValues: number = 4_194_304;
/** Text up to this size is looked through here, because the call into native code costs more. */
const shortText = 32;
const nil = 0xc0;
const proto = Buffer.from("__proto__");

/** What can be wrong with a payload; `msgpackProblems` has the words. */
export type MsgpackProblem = "cut" | "rest" | "extension" | "depth" | "containers" | "values" | "text";

/** What is wrong, as the end of a sentence that begins with the name of the value. */
export const msgpackProblems: Readonly<Record<MsgpackProblem, string>> = {
  cut: "is not msgpack: it ends too early",
  rest: "is not msgpack: bytes follow its value",
  extension: "holds a msgpack extension type",
  depth: `is nested deeper than ${maxDepth} levels`,
  containers: `holds more than ${maxContainers} lists and maps`,
  values: `holds more than ${maxValues} values`,
  text: "holds text that is not valid UTF-8",
};

/** Numbers, booleans and nil: bytes to be passed over. */
const scalar = 0;
const text = 1;
const list = 2;
const map = 3;
/** Extension types, and the byte 0xc1, which is reserved. */
const refused = 4;
const binary = 5;

/** What a first byte announces: a kind, and its size, or of how many bytes the size is that follows. */
interface Form {
  readonly kind: number;
  readonly size?: number;
  readonly sizeBytes?: number;
}

/** The first bytes from 0xc0 to 0xdf. Source: https://github.com/msgpack/msgpack/blob/master/spec.md */
const longForms: readonly Form[] = [
  { kind: scalar }, // nil
  { kind: refused },
  ...[0, 0].map((size) => ({ kind: scalar, size })), // false, true
  ...[1, 2, 4].map((sizeBytes) => ({ kind: binary, sizeBytes })),
  ...[1, 2, 4].map(() => ({ kind: refused })),
  ...[4, 8].map((size) => ({ kind: scalar, size })), // floats
  ...[1, 2, 4, 8].map((size) => ({ kind: scalar, size })), // unsigned
  ...[1, 2, 4, 8].map((size) => ({ kind: scalar, size })), // signed
  ...[1, 2, 3, 4, 5].map(() => ({ kind: refused })),
  ...[1, 2, 4].map((sizeBytes) => ({ kind: text, sizeBytes })),
  ...[2, 4].map((sizeBytes) => ({ kind: list, sizeBytes })),
  ...[2, 4].map((sizeBytes) => ({ kind: map, sizeBytes })),
];

function formOf(token: number): Form {
  if (token < 0x80 || token >= 0xe0) return { kind: scalar }; // a small number
  if (token < 0x90) return { kind: map, size: token & 0x0f };
  if (token < 0xa0) return { kind: list, size: token & 0x0f };
  return token < 0xc0 ? { kind: text, size: token & 0x1f } : (longForms[token - 0xc0] ?? { kind: refused });
}

const forms = Array.from({ length: 256 }, (_, token) => formOf(token));
const kinds = Uint8Array.from(forms, ({ kind }) => kind);
const sizes = Uint8Array.from(forms, ({ size = 0 }) => size);
const sizesOfSizes = Uint8Array.from(forms, ({ sizeBytes = 0 }) => sizeBytes);

/** What a look through bytes has found. */
export interface MsgpackFindings {
  /** What keeps them from being exactly one value of plain data. */
  readonly problem: MsgpackProblem | undefined;
  /** The text `__proto__`, or one like it, stands somewhere, or a map whose only key is nil: maps must not become objects at once. */
  readonly needsMaps: boolean;
  /** There is binary data in it. */
  readonly hasBytes: boolean;
}

/** Look through the whole of `bytes`. Nothing is made of it, and nothing is thrown. */
export function checkMsgpack(bytes: Uint8Array): MsgpackFindings {
  const around: number[] = []; // of each container that is open, how many values are to come behind the one inside
  const totals: Totals = { containers: 0, values: 0 };
  let needsMaps = false;
  let hasBytes = false;
  let left = 1;
  let at = 0;
  for (;;) {
    while (left === 0) {
      const outer = around.pop();
      if (outer === undefined) return { problem: findRest(bytes, at), needsMaps, hasBytes };
      left = outer;
    }
    const token = bytes[at];
    if (token === undefined) return { problem: "cut", needsMaps, hasBytes };
    left -= 1;
    const begin = at + 1 + (sizesOfSizes[token] ?? 0);
    const size = readSize(bytes, at + 1, begin, sizes[token] ?? 0);
    const kind = kinds[token];
    at = begin;
    if (kind === scalar) {
      at += size;
      continue;
    }
    needsMaps ||= mustStayMap(kind, size, bytes, at);
    if (kind === text) {
      at += size;
      const problem = findBadText(bytes, begin, at);
      if (problem !== undefined) return { problem, needsMaps, hasBytes };
    } else if (kind === binary) {
      at += size;
      hasBytes = true;
    } else {
      const count = kind === map ? 2 * size : size;
      if (kind === refused) return { problem: "extension", needsMaps, hasBytes };
      const problem = findExcess(totals, around.length, count, bytes.length - at);
      if (problem !== undefined) return { problem, needsMaps, hasBytes };
      around.push(left);
      left = count;
    }
  }
}

// `at`: where the text begins, or the first key.
function mustStayMap(kind: number | undefined, size: number, bytes: Uint8Array, at: number): boolean {
  if (kind === text) return size === proto.length && isLikeProto(bytes, at);
  return kind === map && size === 1 && bytes[at] === nil;
}

function readSize(bytes: Uint8Array, from: number, to: number, size: number): number {
  let read = size;
  for (let at = from; at < to; at += 1) read = read * 256 + (bytes[at] ?? 0);
  return read;
}

function isLikeProto(bytes: Uint8Array, begin: number): boolean {
  return bytes[begin] === proto[0] && bytes[begin + 1] === proto[1];
}

function findRest({ length }: Uint8Array, at: number): "cut" | "rest" | undefined {
  if (at === length) return undefined;
  return at > length ? "cut" : "rest";
}

interface Totals {
  containers: number;
  values: number;
}

// `room`: bytes that are left, of which each value takes one at least.
function findExcess(totals: Totals, depth: number, count: number, room: number): MsgpackProblem | undefined {
  totals.containers += 1;
  totals.values += count;
  if (depth >= maxDepth) return "depth";
  if (totals.containers > maxContainers) return "containers";
  if (count > room) return "cut";
  return totals.values > maxValues ? "values" : undefined;
}

function findBadText(bytes: Uint8Array, begin: number, end: number): "cut" | "text" | undefined {
  if (end > bytes.length) return "cut";
  if (end - begin <= shortText && isAscii(bytes, begin, end)) return undefined;
  return isUtf8(bytes.subarray(begin, end)) ? undefined : "text";
}

function isAscii(bytes: Uint8Array, begin: number, end: number): boolean {
  for (let at = begin; at < end; at += 1) if ((bytes[at] ?? 0) > 0x7f) return false;
  return true;
}
