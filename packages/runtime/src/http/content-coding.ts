/** The content-encoding of a request's body, undone within a limit. https://www.rfc-editor.org/rfc/rfc9110#name-content-codings */
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from "node:zlib";
import { RuntimeError } from "../errors.ts";
import { MediaTypeError } from "./malformed.ts";

type Decompressor = ReturnType<typeof createGunzip | typeof createBrotliDecompress | typeof createZstdDecompress>;

export interface Coding {
  readonly name: string;
  create(body: Buffer): Decompressor;
}

export interface BodyLimit {
  readonly maxBytes: number;
  /** The setting it comes from, if it is one. */
  readonly setting?: string;
  /** Told how many bytes more the body is about to take, unless `reservedBytes` has said so before. What it throws ends the work. */
  readonly onGrow?: (bytes: number) => void;
}

export interface ContentDecoder {
  /** Undo the codings, the last one first.
   *  @throws RuntimeError `too_large`, or `invalid_argument` for what is not all of it, or more, or something else; the signal's reason. */
  decode(body: Buffer, codings: readonly Coding[], limit: BodyLimit, signal?: AbortSignal): Promise<Buffer>;
}

/** Chunks that a decompressor hands over: each is a task of a thread. */
const chunkSize = 65_536;
/** Bodies up to this are decoded once; larger ones are measured first. */
const keptBytes = 1_048_576;
/** Each costs work for the whole body. */
const maxCodings = 3;

// RFC 9659 allows no larger window; what is larger takes up to 2 GiB before the first byte comes out.
const zstdOptions = { chunkSize, params: { [constants.ZSTD_d_windowLogMax]: 23 } };

const gzip: Coding = { name: "gzip", create: () => createGunzip({ chunkSize }) };
const codings: ReadonlyMap<string, Coding> = new Map([
  ["gzip", gzip],
  ["x-gzip", gzip],
  [
    "deflate",
    {
      name: "deflate",
      create: (body) => (hasZlibHeader(body) ? createInflate({ chunkSize }) : createInflateRaw({ chunkSize })),
    },
  ],
  ["br", { name: "br", create: () => createBrotliDecompress({ chunkSize }) }],
  ["zstd", { name: "zstd", create: () => createZstdDecompress(zstdOptions) }],
]);

const served = "gzip, deflate, br, zstd";

// RFC 1950. Some clients send deflate without it: https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1.2
function hasZlibHeader(body: Buffer): boolean {
  return body.length >= 2 && ((body[0] ?? 0) & 0x0f) === 8 && body.readUInt16BE(0) % 31 === 0;
}

/** The codings of a `content-encoding` header, in the order in which they were applied. @throws MediaTypeError. */
export function parseCodings(header: string | undefined): readonly Coding[] {
  if (header === undefined) return [];
  const names = header.split(",").map((name) => name.trim().toLowerCase());
  const applied = names.flatMap((name) => (name === "" || name === "identity" ? [] : toCoding(name)));
  if (applied.length <= maxCodings) return applied;
  throw toCodingError(`content-encoding names ${applied.length} codings, the limit is ${maxCodings}`);
}

function toCoding(name: string): Coding {
  const coding = codings.get(name);
  if (coding) return coding;
  throw toCodingError(`content-encoding must be ${served} or identity, got ${JSON.stringify(name.slice(0, 128))}`);
}

// The header tells this 415 from one about the media type (RFC 9110 section 12.5.3).
function toCodingError(message: string): MediaTypeError {
  return new MediaTypeError(message, { "accept-encoding": served });
}

export function toTooLarge({ maxBytes, setting }: BodyLimit): RuntimeError {
  const source = setting === undefined ? "" : ` set by ${setting}`;
  return new RuntimeError("too_large", `the request body is larger than ${maxBytes} bytes, the limit${source}`);
}

/** Create a decoder that works at so many bodies at a time, on threads; others wait for their turn.
 *  Each takes up to 16 MiB for its window, beside the decoded body itself. */
export function createContentDecoder({ places = 2 }: { readonly places?: number } = {}): ContentDecoder {
  const semaphore = createSemaphore(places);
  return {
    async decode(body, applied, limit, signal) {
      await semaphore.acquire(signal);
      try {
        let decoded = body;
        for (const coding of applied.toReversed()) decoded = await undo(decoded, coding, limit, signal);
        return decoded;
      } finally {
        semaphore.release();
      }
    },
  };
}

interface Semaphore {
  /** @throws the signal's reason. Whoever leaves while it waits holds nothing any more. */
  acquire(signal: AbortSignal | undefined): Promise<void>;
  release(): void;
}

function createSemaphore(places: number): Semaphore {
  let taken = 0;
  const waiting = new Set<() => void>(); // no more than there are connections
  return {
    async acquire(signal) {
      signal?.throwIfAborted();
      if (taken < places) return void (taken += 1);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const giveUp = (): void => {
        waiting.delete(resolve); // at once: in this very tick somebody may leave, and the turn must not be its
        reject(signal?.reason);
      };
      waiting.add(resolve);
      signal?.addEventListener("abort", giveUp, { once: true });
      await promise;
      signal?.removeEventListener("abort", giveUp);
    },
    release() {
      const [next] = waiting;
      if (!next) return void (taken -= 1);
      waiting.delete(next);
      next();
    },
  };
}

// What is over the limit is never held: a large body is decoded a second time, into a buffer of its size.
async function undo(body: Buffer, coding: Coding, limit: BodyLimit, signal: AbortSignal | undefined): Promise<Buffer> {
  let size = 0;
  let kept: Buffer[] = [];
  await decompress(body, coding, signal, (chunk) => {
    size += chunk.length;
    if (size > limit.maxBytes) throw toTooLarge(limit);
    if (size <= keptBytes) kept.push(chunk);
    else kept = [];
  });
  limit.onGrow?.(size);
  if (size <= keptBytes) return Buffer.concat(kept, size);
  const decoded = Buffer.allocUnsafeSlow(size);
  let filled = 0;
  await decompress(body, coding, signal, (chunk) => {
    filled += chunk.copy(decoded, filled);
  });
  return decoded;
}

async function decompress(
  body: Buffer,
  coding: Coding,
  signal: AbortSignal | undefined,
  onChunk: (chunk: Buffer) => void,
): Promise<void> {
  signal?.throwIfAborted();
  const stream = coding.create(body);
  stream.end(body);
  try {
    for await (const chunk of stream) {
      onChunk(chunk as Buffer); // no encoding is set: chunks are Buffers
      if (signal?.aborted) break;
    }
  } catch (cause) {
    if (cause instanceof RuntimeError) throw cause; // our own
    throw new RuntimeError("invalid_argument", `the request body ${describe(cause, coding.name)}`, { cause });
  }
  signal?.throwIfAborted();
  const more = body.length - stream.bytesWritten;
  if (more > 0)
    throw new RuntimeError(
      "invalid_argument",
      `the request body goes on for ${more} bytes after the end of its ${coding.name} data`,
    );
}

function describe(cause: unknown, name: string): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "Z_BUF_ERROR") return `ends in the middle of its ${name} data`;
  if (code === "ZSTD_error_frameParameter_windowTooLarge")
    return "needs a zstd window of more than 8 MiB, the limit of RFC 9659";
  return `is not valid ${name}, which its content-encoding says it is`;
}
