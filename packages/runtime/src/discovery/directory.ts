/** The steps on the file system that discovery takes. Each of them may fail alone, and must then cost no more than itself. None follows a link. */
import { constants, watch, type FSWatcher, type Stats } from "node:fs";
import { lstat, lutimes, mkdir, open, readdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { within } from "../lifetime.ts";

/** A larger file is no record, bytes. */
export const maxRecordBytes: number = 64 * 1024;

/** Steps that a system may refuse or leave unanswered; tests put others in their place. */
export interface DirectorySteps {
  readonly watch: (path: string, onEvent: (event: string, name: string | null) => void) => FSWatcher;
  readonly list: (path: string) => Promise<readonly string[]>;
  /** What a file of a bucket is; of a link, the link. */
  readonly stat: (path: string) => Promise<Stats>;
  /** What a directory, or whatever is in its place, is; of a link, the link. */
  readonly statDirectory: (path: string) => Promise<Stats>;
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

/** @throws Error if this is a link, a pipe or anything else but a file. */
export function checkIsFile(found: Stats): void {
  if (!found.isFile())
    throw new Error(
      found.isSymbolicLink() ? "it is a symbolic link, which is not followed" : "it is not a regular file",
    );
}

// What is at the path may be another thing by now than when it was looked at: what counts is what was opened, and a pipe must not hold this up.
async function readSmallFile(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const found = await file.stat();
    checkIsFile(found);
    checkRecordSize(found.size);
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(found.size), 0, found.size, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Set the mtime of a file, in ms. Should a link take its place in between, then only the link is touched. */
export async function touchFile(path: string, atMs: number): Promise<void> {
  checkIsFile(await lstat(path));
  await lutimes(path, atMs / 1000, atMs / 1000);
}

/** Make a directory and those above it. Node's own `recursive` never returns below a directory that takes no children, such as /proc or
 *  a link to nowhere: the parent is there, the child is not, and it asks for both in turn for ever (src/node_file.cc, MKDirpAsync). */
export async function makeDirectory(path: string, mode: number, steps: Pick<DirectorySteps, "make">): Promise<void> {
  const first = await tryMake(path, mode, steps);
  if (first === undefined) return;
  if (!isMissing(first) || dirname(path) === path) throw first;
  await makeDirectory(dirname(path), mode, steps);
  const second = await tryMake(path, mode, steps);
  if (second !== undefined) throw second;
}

// Undefined: it is there now.
async function tryMake(path: string, mode: number, { make }: Pick<DirectorySteps, "make">): Promise<unknown> {
  try {
    await make(path, mode);
    return undefined;
  } catch (error) {
    return codeOf(error) === "EEXIST" ? undefined : error;
  }
}

/** Wait for a step, but not for ever, because a file system that is gone answers nothing at all. The step itself goes on.
 *  @throws Error once it has taken `limitMs`. */
export async function inTime(step: Promise<unknown>, limitMs: number): Promise<void> {
  if (!(await within(step, limitMs)))
    throw new Error(`the discovery directory does not answer within ${limitMs / 1000} s`);
}
