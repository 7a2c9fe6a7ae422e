/** Keeps what can be read only once, so that it can be read again: a little in memory, the rest on disk. */
import { randomUUID } from "node:crypto";
import { open, unlink, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RuntimeError, toRuntimeError } from "@dyn/runtime";

export interface Spool extends AsyncDisposable {
  /** Read `stream` to its end. @returns what reads it again, from its beginning. A chunk is valid until the next one is asked for. */
  keep(stream: AsyncIterable<Uint8Array>): Promise<() => AsyncIterable<Buffer>>;
}

const chunkBytes = 1024 * 1024;

export interface SpoolOptions {
  /** Of memory, for all streams together. Default 64 MiB. */
  readonly maxBytes?: number;
  /** Where the rest is kept. Default: where the system keeps temporary files. */
  readonly directory?: string;
}

export function createSpool({ maxBytes = 64 * chunkBytes, directory = tmpdir() }: SpoolOptions = {}): Spool {
  const files: FileHandle[] = [];
  let left = maxBytes;
  const openNext = async (): Promise<FileHandle> => {
    const file = await openNameless(directory);
    files.push(file);
    return file;
  };
  return {
    async keep(stream) {
      const chunks: Buffer[] = [];
      let file: FileHandle | undefined;
      for await (const bytes of stream) {
        const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        if (!file && chunk.length <= left) {
          left -= chunk.length;
          chunks.push(chunk);
          continue;
        }
        file ??= await explain(directory, openNext());
        await explain(directory, file.appendFile(chunk));
      }
      return async function* () {
        yield* chunks;
        if (file) yield* readFrom(file);
      };
    },
    [Symbol.asyncDispose]: async () => void (await Promise.all(files.splice(0).map((file) => file.close()))),
  };
}

/** All bytes of `file`, from the first one. One buffer for all: a new one per chunk costs more than the search. */
export async function* readFrom(file: FileHandle): AsyncGenerator<Buffer, void, void> {
  const buffer = Buffer.allocUnsafe(chunkBytes);
  for (let position = 0; ;) {
    const { bytesRead } = await file.read(buffer, 0, chunkBytes, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

// For its owner only, as logs may be secret; and without a name at once, so that it goes with this process, however that ends.
async function openNameless(directory: string): Promise<FileHandle> {
  const path = join(directory, `dyn-trace-${randomUUID()}`);
  const file = await open(path, "wx+", 0o600);
  await unlink(path);
  return file;
}

async function explain<Value>(directory: string, step: Promise<Value>): Promise<Value> {
  try {
    return await step;
  } catch (cause) {
    const why = `what comes from a pipe is kept in ${directory} (TMPDIR), which failed: ${toRuntimeError(cause).message}`;
    throw new RuntimeError("invalid_argument", why, { cause });
  }
}
