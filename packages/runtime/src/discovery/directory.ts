/** The steps on the file system that discovery takes. Each of them may fail alone, and must then cost no more than itself. None follows a link. */
import { close, constants, fstat, open as openForCallback, watch, type FSWatcher, type Stats } from "node:fs";
import { lstat, mkdir, open, readdir, rm, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { within } from "../lifetime.ts";
import { holdPath, type HeldPath } from "./open-directory.ts";

/** A larger file is no record, bytes. */
export const maxRecordBytes: number = 64 * 1024;

/** Steps that a system may refuse or leave unanswered; tests put others in their place. */
export interface DirectorySteps {
  readonly watch: (path: string, onEvent: (event: string, name: string | null) => void) => FSWatcher;
  readonly list: (path: string) => Promise<readonly string[]>;
  /** What a file of a bucket is; of a link, the link. */
  readonly stat: (path: string) => Promise<Stats>;
  /** What a directory on the way, or whatever is in its place, is; of a link, the link. */
  readonly statDirectory: (path: string) => Promise<Stats>;
  /** Hold a directory, or whatever is in its place. */
  readonly hold: (path: string) => Promise<HeldPath>;
  readonly read: (path: string) => Promise<string>;
  readonly remove: (path: string) => Promise<void>;
  /** Make one directory. */
  readonly make: (path: string, mode: number) => Promise<void>;
}

/** The steps as Node takes them. */
export const directorySteps: DirectorySteps = {
  watch: (path, onEvent) => watch(path, { persistent: false }, onEvent),
  list: (path) => readdir(path),
  stat: (path) => lstat(path),
  statDirectory: (path) => lstat(path),
  hold: holdPath,
  read: readSmallFile,
  remove: (path) => rm(path, { force: true }),
  make: (path, mode) => mkdir(path, mode),
};

/** The code of an error of the system, such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

/** True if a step failed because nothing is there. */
export function isMissing(error: unknown): boolean {
  return codeOf(error) === "ENOENT";
}

/** The words of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** @throws Error if a record of this size would be read by nobody. */
export function checkRecordSize(bytes: number): void {
  if (bytes > maxRecordBytes) throw new Error(`it has ${bytes} bytes, limit ${maxRecordBytes}`);
}

const isLink = "it is a symbolic link, which is not followed";
const isNoFile = "it is not a regular file";

/** @throws Error if this is a link, a pipe or anything else but a file. */
export function checkIsFile(found: Stats): void {
  if (!found.isFile()) throw new Error(found.isSymbolicLink() ? isLink : isNoFile);
}

/** What the system says of a path at which there is no file to open. */
const openFailures: ReadonlyMap<string | undefined, string> = new Map([
  ["ELOOP", isLink],
  ["ENXIO", isNoFile], // a socket
]);

const openDescriptor = promisify(openForCallback);
const statDescriptor: (descriptor: number) => Promise<Stats> = promisify(fstat);
const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Open a file, to touch it later. @returns its descriptor, which a thread can use, too. */
export async function openFile(path: string): Promise<number> {
  const descriptor = await openDescriptor(path, openFlags);
  try {
    checkIsFile(await statDescriptor(descriptor));
    return descriptor;
  } catch (error) {
    closeFile(descriptor);
    throw error;
  }
}

/** Let go of it: nothing was written to it that could be lost. */
export function closeFile(descriptor: number): void {
  close(descriptor, () => undefined);
}

// What is at the path may be another thing by now than when it was looked at: what counts is what was opened, and a pipe must not hold this up.
async function withFile<Result>(
  path: string,
  use: (file: FileHandle, size: number) => Result | Promise<Result>,
): Promise<Result> {
  const file = await open(path, openFlags).catch((cause: unknown) => {
    const what = openFailures.get(codeOf(cause));
    throw what === undefined ? cause : new Error(what, { cause });
  });
  try {
    const found = await file.stat();
    checkIsFile(found);
    return await use(file, found.size);
  } finally {
    await file.close();
  }
}

function readSmallFile(path: string): Promise<string> {
  return withFile(path, (file, size) => {
    checkRecordSize(size);
    return readText(file, size);
  });
}

async function readText(file: FileHandle, size: number): Promise<string> {
  const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(size), 0, size, 0);
  return buffer.toString("utf8", 0, bytesRead);
}

/** Set the mtime of a file, in ms, if it holds `text`. @returns what it holds; undefined if that is more than any record. */
export function touchFile(path: string, text: string, atMs: number): Promise<string | undefined> {
  return withFile(path, async (file, size) => {
    if (size > maxRecordBytes) return undefined;
    const found = await readText(file, size);
    if (found === text) await file.utimes(atMs / 1000, atMs / 1000);
    return found;
  });
}

/** Make a directory and those above it. Node's own `recursive` never returns below a directory that takes no children, such as /proc or
 *  a link to nowhere: the parent is there, the child is not, and it asks for both in turn for ever (src/node_file.cc, MKDirpAsync). */
export async function makeDirectory(path: string, mode: number, steps: Pick<DirectorySteps, "make">): Promise<void> {
  try {
    await makeOne(path, mode, steps);
  } catch (error) {
    if (!isMissing(error) || dirname(path) === path) throw error;
    await makeDirectory(dirname(path), mode, steps);
    await makeOne(path, mode, steps);
  }
}

/** Make one directory, unless it is there. */
export async function makeOne(path: string, mode: number, { make }: Pick<DirectorySteps, "make">): Promise<void> {
  try {
    await make(path, mode);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
}

/** Wait for a step, but not for ever, because a file system that is gone answers nothing at all. The step itself goes on.
 *  @throws Error once it has taken `limitMs`. */
export async function inTime(step: Promise<unknown>, limitMs: number): Promise<void> {
  if (!(await within(step, limitMs)))
    throw new Error(`the discovery directory does not answer within ${limitMs / 1000} s`);
}
