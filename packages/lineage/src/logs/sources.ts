/** Logs as they are given: files, pipes and standard input, packed or not. Each is read twice, whatever it is. */
import { constants, createReadStream, open as openDescriptor } from "node:fs";
import { open, stat, type FileHandle } from "node:fs/promises";
import { Socket } from "node:net";
import { promisify } from "node:util";
import { RuntimeError, toRuntimeError } from "@dyn/runtime";
import { toUnpacked, type Source } from "./packing.ts";
import { createSpool, readFrom, type Spool } from "./spool.ts";

export interface Sources extends AsyncDisposable {
  readonly list: readonly Source[];
}

const standardInput = new Set(["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"]);

/** Open `paths`, each file once, whatever it is called; `input` is standard input. What can be read only once is read now.
 *  @throws RuntimeError `invalid_argument` if one of them cannot be read. */
export async function openSources(paths: readonly string[], input: AsyncIterable<Uint8Array>): Promise<Sources> {
  const files: FileHandle[] = [];
  const spool = createSpool();
  const dispose = async (): Promise<void> =>
    void (await Promise.all([spool[Symbol.asyncDispose](), ...files.map((file) => file.close())]));
  try {
    const distinct = await findDistinct(paths);
    // All at once: whoever fills one pipe may wait until another one is read.
    const list = await Promise.all(distinct.map((given) => openSource(given, { files, spool, input })));
    return { list, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** What a failure to read says. */
export function toReadError(name: string, cause: unknown): RuntimeError {
  if (cause instanceof RuntimeError && cause.code === "invalid_argument") return cause;
  return new RuntimeError("invalid_argument", `cannot read ${name}: ${toRuntimeError(cause).message}`, { cause });
}

type Kind = "input" | "file" | "pipe" | "device";

interface Given {
  readonly path: string;
  readonly kind: Kind;
}

async function findDistinct(paths: readonly string[]): Promise<Given[]> {
  const found = new Map<string, Given>();
  for (const path of paths) {
    const [key, kind] = standardInput.has(path) ? (["input", "input"] as const) : await identify(path);
    if (!found.has(key)) found.set(key, { path, kind });
  }
  return [...found.values()];
}

async function identify(path: string): Promise<[key: string, kind: Kind]> {
  try {
    const stats = await stat(path, { bigint: true });
    if (stats.isDirectory())
      throw new RuntimeError("invalid_argument", `cannot read ${path}: it is a directory, name the files in it`);
    return [
      `${stats.dev} ${stats.ino}`,
      stats.isFile() ? "file" : stats.isFIFO() || stats.isSocket() ? "pipe" : "device",
    ];
  } catch (cause) {
    throw toReadError(path, cause);
  }
}

interface Opening {
  readonly files: FileHandle[];
  readonly spool: Spool;
  readonly input: AsyncIterable<Uint8Array>;
}

async function openSource({ path, kind }: Given, opening: Opening): Promise<Source> {
  const name = kind === "input" ? "stdin" : path;
  try {
    return await toUnpacked(name, await openBytes(path, kind, opening));
  } catch (cause) {
    throw toReadError(name, cause);
  }
}

async function openBytes(path: string, kind: Kind, { files, spool, input }: Opening): Promise<Source["read"]> {
  if (kind === "input") return spool.keep(input);
  if (kind === "pipe") return spool.keep(await openPipe(path));
  if (kind === "device") return spool.keep(createReadStream(path));
  // It stays open: should it be renamed in between, the second reading is of the same file.
  const file = await open(path);
  files.push(file);
  return createRepeatedRead(path, file);
}

// What was inherited is used as it is: opened anew, a socket fails, and a named pipe whose writer has left has no end.
// Others are not opened by a blocking call, which takes one of the few threads that read files until somebody writes.
async function openPipe(path: string): Promise<Socket> {
  const inherited = /^\/(?:dev|proc\/self)\/fd\/(\d+)$/.exec(path)?.[1];
  const fd =
    inherited === undefined
      ? await promisify(openDescriptor)(path, constants.O_RDONLY | constants.O_NONBLOCK)
      : Number(inherited);
  return new Socket({ fd, readable: true, writable: false });
}

function createRepeatedRead(name: string, file: FileHandle): Source["read"] {
  let longest = 0;
  return async function* () {
    let bytes = 0;
    for await (const chunk of readFrom(file)) {
      bytes += chunk.length;
      yield chunk;
    }
    if (bytes < longest)
      throw new RuntimeError(
        "invalid_argument",
        `${name} became shorter while it was read, as a log that is rotated does: try again`,
      );
    longest = bytes;
  };
}
