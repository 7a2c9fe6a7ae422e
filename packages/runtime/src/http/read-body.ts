/** The body of a request, read into one buffer within a limit. */
import type { IncomingMessage } from "node:http";
import { RuntimeError } from "../errors.ts";
import { largeBytes, requestFactor } from "../memory-budget.ts";
import { toTooLarge, type BodyLimit } from "./content-coding.ts";

/** How many bytes a request says that its body has; 0 if it says nothing. */
export function statedBytes({ headers }: IncomingMessage): number {
  return Number(headers["content-length"] ?? 0);
}

/** Smaller bodies take memory as they come: for what they say, some hundred clients that send headers alone could have the part of it that is for small requests. */
const smallBytes = Math.floor(largeBytes / requestFactor);

/** Bytes for which memory must be taken before a body is read; 0 if `readBody` says how much it takes. */
export function reservedBytes(request: IncomingMessage): number {
  const stated = statedBytes(request);
  return stated > smallBytes ? stated : 0;
}

const firstBytes = 16 * 1024;
const nothing: Buffer = Buffer.alloc(0);

/** Read it. Of what is too large, nothing is kept.
 *  @throws RuntimeError `too_large`, `invalid_argument` if it ends early or its client has left, and what `onGrow` throws. */
export function readBody(request: IncomingMessage, options: BodyLimit): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const stated = statedBytes(request);
  if (stated > options.maxBytes) {
    reject(toTooLarge(options));
    return promise;
  }
  // One buffer, and no list of chunks: a chunk of a byte costs a hundred.
  let body = nothing;
  let size = 0;
  const isTold = stated > 0 && reservedBytes(request) === 0;
  const keep = (chunk: Buffer): void => {
    if (isTold) options.onGrow?.(chunk.length);
    if (size === 0 && chunk.length === stated) body = chunk;
    else body = append(body, size, chunk, stated, options);
    size += chunk.length;
  };
  const onData = (chunk: Buffer): void => {
    try {
      keep(chunk);
    } catch (error) {
      settle();
      reject(error);
    }
  };
  const onEnd = (): void => {
    settle();
    resolve(size === body.length ? body : body.subarray(0, size));
  };
  const onError = (cause: Error): void => {
    settle();
    reject(
      cause instanceof RuntimeError
        ? cause
        : new RuntimeError("invalid_argument", "the request body has no end", { cause }),
    );
  };
  const settle = (): void => void request.off("data", onData).off("end", onEnd).off("error", onError);
  if (request.destroyed) onError(new Error("its client has left")); // it would tell nothing more
  else request.on("data", onData).on("end", onEnd).on("error", onError).resume();
  return promise;
}

// @returns the buffer that has `chunk` behind the first `size` bytes.
function append(body: Buffer, size: number, chunk: Buffer, stated: number, options: BodyLimit): Buffer {
  const needed = size + chunk.length;
  if (needed > options.maxBytes) throw toTooLarge(options);
  const grown = needed > body.length ? grow(body, needed, stated, options) : body;
  chunk.copy(grown, size);
  return grown;
}

function grow(body: Buffer, needed: number, stated: number, { maxBytes, onGrow }: BodyLimit): Buffer {
  const doubled = Math.min(maxBytes, Math.max(firstBytes, 2 * needed));
  if (stated === 0) onGrow?.(doubled - body.length);
  const grown = Buffer.allocUnsafeSlow(stated === 0 ? doubled : stated); // the system gives memory as it is filled
  body.copy(grown);
  return grown;
}
