/** Finds the lines in which certain texts occur, in logs of any size: bytes are searched, only what matches is decoded. */
import type { Source } from "./packing.ts";
import { createUnwrapper, type Met } from "./unwrap.ts";

export interface ScanOptions {
  /** Texts of which one must occur. */
  readonly needles: readonly Buffer[];
  readonly onLine: (line: string, place: string) => void;
}

export interface ScanResult extends Met {
  readonly source: Source;
  readonly bytes: number;
  /** The last line has no end. */
  readonly isTorn: boolean;
  /** There are bytes that no text has. */
  readonly isBinary: boolean;
}

const maxLineBytes = 16 * 1024 * 1024;
const newline = 0x0a;
const brace = 0x7d;

/** Call `onLine` for every line with a needle. Rejects with what reading rejects with. */
export async function scanSource(source: Source, options: ScanOptions): Promise<ScanResult> {
  const scanner = new Scanner(source, options);
  for await (const chunk of source.read()) scanner.push(chunk);
  return scanner.end();
}

class Scanner {
  #source: Source;
  #options: ScanOptions;
  /** A line that began in chunks before. */
  #begun: Buffer[] = [];
  #begunBytes = 0;
  #bytes = 0;
  /** Lines before those that are scanned. */
  #lines = 0;
  #tooLong = 0;
  #isBinary = false;
  #unwrapper = createUnwrapper();

  constructor(source: Source, options: ScanOptions) {
    this.#source = source;
    this.#options = options;
  }

  push(bytes: Buffer): void {
    this.#bytes += bytes.length;
    const chunk = this.#begunBytes === 0 ? withoutHole(bytes) : bytes;
    if (this.#unwrapper.met.dynLines === 0) this.#isBinary ||= chunk.includes(0);
    const first = chunk.indexOf(newline) + 1;
    if (first === 0) return this.#keep(chunk);
    this.#finishLine(chunk.subarray(0, first));
    const end = chunk.lastIndexOf(newline) + 1;
    if (end > first) this.#scan(chunk.subarray(first, end));
    this.#keep(withoutHole(chunk.subarray(end)));
  }

  end(): ScanResult {
    const last = this.#begun.at(-1);
    const isTorn = this.#unwrapper.isOpen || (last !== undefined && last.at(-1) !== brace);
    this.#finishLine(Buffer.alloc(0));
    return {
      ...this.#unwrapper.met,
      source: this.#source,
      bytes: this.#bytes,
      lines: this.#lines,
      tooLong: this.#tooLong + this.#unwrapper.met.tooLong,
      isTorn,
      isBinary: this.#isBinary,
    };
  }

  // Bytes over the limit are counted, not kept.
  #keep(part: Buffer): void {
    this.#begunBytes += part.length;
    if (this.#begunBytes > maxLineBytes) this.#begun = [];
    else if (part.length > 0) this.#begun.push(Buffer.from(part));
  }

  #finishLine(part: Buffer): void {
    this.#keep(part);
    if (this.#begunBytes > maxLineBytes) {
      this.#tooLong += 1;
      this.#lines += 1;
    } else if (this.#begunBytes > 0) this.#scan(Buffer.concat(this.#begun));
    this.#begun = [];
    this.#begunBytes = 0;
  }

  #scan(lines: Buffer): void {
    const plain = this.#unwrapper.unwrap(lines);
    scanLines(plain, this.#source.name, this.#lines, this.#options);
    this.#lines = this.#unwrapper.met.lines + this.#tooLong;
  }
}

// A log that is truncated while its writer goes on begins with a hole, which reads as zeros up to its next line.
function withoutHole(bytes: Buffer): Buffer {
  let at = 0;
  while (at < bytes.length && bytes[at] === 0) at += 1;
  return bytes.subarray(at);
}

// Looks at whole lines; `before` is how many came before them.
function scanLines(buffer: Buffer, name: string, before: number, { needles, onLine }: ScanOptions): void {
  const seen = new Set<number>();
  const lineOf = createLineIndex(buffer);
  for (const needle of needles) {
    for (let hit = buffer.indexOf(needle); hit >= 0;) {
      const start = buffer.lastIndexOf(newline, hit) + 1;
      const found = buffer.indexOf(newline, hit);
      const end = found < 0 ? buffer.length : found;
      if (!seen.has(start)) {
        seen.add(start);
        onLine(buffer.toString("utf8", start, end), `${name}:${before + lineOf(start)}`);
      }
      hit = buffer.indexOf(needle, end);
    }
  }
}

// The number of a line by its offset, from 1. Newlines are counted once, as far as somebody asks.
function createLineIndex(buffer: Buffer): (start: number) => number {
  let lines = 0;
  let offset = 0;
  return (start) => {
    if (start < offset) [lines, offset] = [0, 0]; // another needle begins anew
    for (let at = buffer.indexOf(newline, offset); at >= 0 && at < start; at = buffer.indexOf(newline, offset)) {
      lines += 1;
      offset = at + 1;
    }
    return lines + 1;
  };
}
