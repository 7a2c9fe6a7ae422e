/** The steps on the file system that discovery takes. Each of them may fail alone, and must then cost no more than itself. */
import { watch, type FSWatcher, type Stats } from "node:fs";
import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** Steps that a system may refuse or leave unanswered; tests put others in their place. */
export interface DirectorySteps {
  readonly watch: (path: string, onEvent: (event: string, name: string | null) => void) => FSWatcher;
  readonly list: (path: string) => Promise<readonly string[]>;
  readonly stat: (path: string) => Promise<Stats>;
  readonly read: (path: string) => Promise<string>;
  readonly remove: (path: string) => Promise<void>;
}

export const directorySteps: DirectorySteps = {
  watch: (path, onEvent) => watch(path, { persistent: false }, onEvent),
  list: (path) => readdir(path),
  stat: (path) => stat(path),
  read: (path) => readFile(path, "utf8"),
  remove: (path) => rm(path, { force: true }),
};

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

export function isMissing(error: unknown): boolean {
  return codeOf(error) === "ENOENT";
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Find the directory of a bucket below `root`, or make it. @returns its inode; undefined if nobody has registered anything yet and it cannot be
 *  made here, as by a frontend that may only read. Throws what the system says if it cannot be looked into. */
export async function openBucketDirectory(root: string, directory: string, { list }: Pick<DirectorySteps, "list">): Promise<number | undefined> {
  try {
    return await inodeOf(directory);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  try {
    await makeDirectory(directory);
  } catch (error) {
    await list(root).catch(() => {
      throw error;
    });
    return undefined;
  }
  return inodeOf(directory);
}

// The "." asks for the right to look at what is in it, which the right to list it does not include.
async function inodeOf(directory: string): Promise<number> {
  return (await stat(`${directory}/.`)).ino;
}

/** Make a directory and those above it. Node's own `recursive` never returns below a directory that takes no children, such as /proc or
 *  a link to nowhere: the parent is there, the child is not, and it asks for both in turn for ever (src/node_file.cc, MKDirpAsync). */
export async function makeDirectory(path: string): Promise<void> {
  const first = await tryMake(path);
  if (first === undefined) return;
  if (!isMissing(first) || dirname(path) === path) throw first;
  await makeDirectory(dirname(path));
  const second = await tryMake(path);
  if (second !== undefined) throw second;
}

// Undefined: it is there now.
async function tryMake(path: string): Promise<unknown> {
  try {
    await mkdir(path);
    return undefined;
  } catch (error) {
    return codeOf(error) === "EEXIST" ? undefined : error;
  }
}
