/** Looks through msgpack before anything is made of it: what is declared must be there, and be plain data of bounded size. */
import { isUtf8 } from "node:buffer";

/** Levels of lists and maps in one value. */
export const maxDepth = 64;
/** Lists and maps of one value. Each costs its reader a hundred times its byte. */
export const maxContainers: number = 262_144;
/** Items of lists, keys and values of maps: each may be one byte, and takes eight in memory. */
export const maxValues: number = 4_194_304;
/** Text up to this size is looked through here; the call into native code costs more. */
const shortText = 32;
const proto = Buffer.from("__proto__");

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

/** What follows a first byte: `size` bytes, or a length of so many bytes. */
interface Form {
  readonly kind: "fixed" | "binary" | "text" | "list" | "map";
  readonly size: number;
}

const firstLong = 0xc0;
const sizes = (kind: Form["kind"], ...all: readonly number[]): Form[] => all.map((size) => ({ kind, size }));
const none = (count: number): undefined[] => Array.from({ length: count });
// By first byte, from 0xc0 to 0xdf.
const forms: readonly (Form | undefined)[] = [
  ...sizes("fixed", 0), // nil
  ...none(1),
  ...sizes("fixed", 0, 0), // false, true
  ...sizes("binary", 1, 2, 4),
  ...none(3),
  ...sizes("fixed", 4, 8), // floats
  ...sizes("fixed", 1, 2, 4, 8), // unsigned
  ...sizes("fixed", 1, 2, 4, 8), // signed
  ...none(5),
  ...sizes("text", 1, 2, 4),
  ...sizes("list", 2, 4),
  ...sizes("map", 2, 4),
];

/** What a look through bytes has found. */
export interface MsgpackFindings {
  /** What keeps them from being exactly one value of plain data. */
  readonly problem: MsgpackProblem | undefined;
  /** The text `__proto__`, or one like it, stands somewhere. */
  readonly mayHoldProto: boolean;
}

export function checkMsgpack(bytes: Uint8Array): MsgpackFindings {
  const check = new Check(bytes);
  check.value(0);
  if (!check.isAtEnd) check.problem ??= "rest";
  return check;
}

class Check implements MsgpackFindings {
  problem: MsgpackProblem | undefined;
  mayHoldProto = false;
  #bytes: Uint8Array;
  #at = 0;
  #containers = 0;
  #values = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  value(depth: number): void {
    const token = this.#bytes[this.#at];
    this.#at += 1;
    if (token === undefined) this.problem = "cut";
    else if (token < 0x80 || token >= 0xe0) return; // a small number
    else if (token < 0x90) this.#items(2 * (token & 0x0f), depth);
    else if (token < 0xa0) this.#items(token & 0x0f, depth);
    else if (token < 0xc0) this.#text(token & 0x1f);
    else this.#long(forms[token - firstLong], depth);
  }

  #long(form: Form | undefined, depth: number): void {
    if (!form) this.problem = "extension"; // or the byte 0xc1, which is reserved
    else if (form.kind === "fixed") this.#skip(form.size);
    else if (form.kind === "binary") this.#skip(this.#length(form.size));
    else if (form.kind === "text") this.#text(this.#length(form.size));
    else this.#items((form.kind === "map" ? 2 : 1) * this.#length(form.size), depth);
  }

  #length(size: number): number {
    let length = 0;
    for (const end = this.#at + size; this.#at < end; this.#at += 1)
      length = length * 256 + (this.#bytes[this.#at] ?? 0);
    return length;
  }

  #skip(size: number): void {
    this.#at += size;
    if (this.#at > this.#bytes.length) this.problem = "cut";
  }

  #items(count: number, depth: number): void {
    this.#containers += 1;
    this.#values += count;
    if (depth >= maxDepth) this.problem = "depth";
    else if (this.#containers > maxContainers) this.problem = "containers";
    else if (count > this.#bytes.length - this.#at) this.problem = "cut"; // each takes a byte at least
    else if (this.#values > maxValues) this.problem = "values";
    for (let left = count; left > 0 && this.problem === undefined; left -= 1) this.value(depth + 1);
  }

  #text(size: number): void {
    const start = this.#at;
    this.#skip(size);
    if (size === proto.length && this.#bytes[start] === proto[0] && this.#bytes[start + 1] === proto[1])
      this.mayHoldProto = true;
    if (this.problem !== undefined || (size <= shortText && this.#isAscii(start))) return;
    if (!isUtf8(this.#bytes.subarray(start, this.#at))) this.problem = "text";
  }

  #isAscii(start: number): boolean {
    for (let at = start; at < this.#at; at += 1) if ((this.#bytes[at] ?? 0) > 0x7f) return false;
    return true;
  }
}
