/** Finds the lines in which certain texts occur, in files of any size: bytes are searched, only what matches is decoded. */
import { open } from "node:fs/promises";

/** Something to read lines from. */
export interface Source {
  /** As it is shown. */
  readonly name: string;
  /** Can be read a second time. */
  readonly isRepeatable: boolean;
  /** A chunk is valid until the next one is asked for. */
  readonly open: () => AsyncIterable<Uint8Array>;
}

export interface ScanOptions {
  /** Texts of which one must occur. The list may grow while it is used; lines that were passed before are not looked at again. */
  readonly needles: readonly Buffer[];
  readonly onLine: (line: string, place: string) => void;
}

export interface ScanResult {
  readonly bytes: number;
  /** Lines longer than 16 MiB are not read. */
  readonly tooLong: number;
}

const chunkBytes = 1024 * 1024;
const maxLineBytes = 16 * 1024 * 1024;
const newline = 0x0a;

/** A file as a source. */
export function toFileSource(path: string): Source {
  return { name: path, isRepeatable: true, open: () => readChunks(path) };
}

/** Bytes of a stream that are kept, so that they can be read a second time. */
const maxKeptBytes = 64 * 1024 * 1024;

/** A stream as a source: it can be read again if it ends before 64 MiB. Reads up to there. */
export async function openStreamSource(name: string, stream: AsyncIterable<Uint8Array>): Promise<Source> {
  const chunks: Uint8Array[] = [];
  const rest = stream[Symbol.asyncIterator]();
  for (let bytes = 0; bytes <= maxKeptBytes;) {
    const { done, value } = await rest.next();
    if (done) return { name, isRepeatable: true, open: () => readAll(chunks) };
    chunks.push(value);
    bytes += value.length;
  }
  return { name, isRepeatable: false, open: () => readAll(chunks.splice(0), rest) };
}

async function* readAll(chunks: Iterable<Uint8Array>, rest?: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  yield* chunks;
  if (rest) yield* { [Symbol.asyncIterator]: () => rest };
}

// One buffer for all of a file: a new one per chunk costs more than the search.
async function* readChunks(path: string): AsyncGenerator<Uint8Array, void, void> {
  await using file = await open(path);
  const buffer = Buffer.allocUnsafe(chunkBytes);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, chunkBytes);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Call `onLine` for every line with a needle. Rejects with what reading rejects with. */
export async function scanSource({ name, open }: Source, options: ScanOptions): Promise<ScanResult> {
  const scanner = new Scanner(name, options);
  for await (const chunk of open()) scanner.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
  return scanner.end();
}

class Scanner {
  #name: string;
  #options: ScanOptions;
  /** A line that began in chunks before. */
  #begun: Buffer[] = [];
  #begunBytes = 0;
  #bytes = 0;
  #lines = 0;
  #tooLong = 0;

  constructor(name: string, options: ScanOptions) {
    this.#name = name;
    this.#options = options;
  }

  push(chunk: Buffer): void {
    this.#bytes += chunk.length;
    const first = chunk.indexOf(newline) + 1;
    if (first === 0) return this.#keep(chunk);
    this.#finishLine(chunk.subarray(0, first));
    const end = chunk.lastIndexOf(newline) + 1;
    if (end > first) this.#scan(chunk.subarray(first, end));
    this.#keep(chunk.subarray(end));
  }

  end(): ScanResult {
    this.#finishLine(Buffer.alloc(0));
    return { bytes: this.#bytes, tooLong: this.#tooLong };
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
    this.#lines += scanLines(lines, this.#name, this.#lines, this.#options);
  }
}

// Looks at whole lines; `before` is how many came before them. Returns how many these are.
function scanLines(buffer: Buffer, name: string, before: number, { needles, onLine }: ScanOptions): number {
  const seen = new Set<number>();
  const index = createLineIndex(buffer);
  for (let searched = 0; searched < needles.length; searched += 1) {
    const needle = needles[searched] as Buffer; // within the list
    for (let hit = buffer.indexOf(needle); hit >= 0;) {
      const start = buffer.lastIndexOf(newline, hit) + 1;
      const found = buffer.indexOf(newline, hit);
      const end = found < 0 ? buffer.length : found;
      if (!seen.has(start)) {
        seen.add(start);
        onLine(buffer.toString("utf8", start, end), `${name}:${before + index.lineOf(start)}`);
      }
      hit = buffer.indexOf(needle, end);
    }
  }
  return index.count();
}

interface LineIndex {
  /** From 1. */
  lineOf(offset: number): number;
  count(): number;
}

// Newlines are counted once, as far as somebody asks.
function createLineIndex(buffer: Buffer): LineIndex {
  let lines = 0;
  let offset = 0;
  const advance = (limit: number): number => {
    if (limit < offset) [lines, offset] = [0, 0]; // another needle begins anew
    for (let at = buffer.indexOf(newline, offset); at >= 0 && at < limit; at = buffer.indexOf(newline, offset)) {
      lines += 1;
      offset = at + 1;
    }
    return lines;
  };
  return { lineOf: (start) => advance(start) + 1, count: () => advance(buffer.length) };
}
