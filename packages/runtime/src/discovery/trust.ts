/** Whether discovery may work in a directory: nobody but this user and root can put anything there, or another directory in its place. */
import type { Stats } from "node:fs";
import { readlink } from "node:fs/promises";
import { dirname, isAbsolute, join, parse, sep } from "node:path";
import type { DirectorySteps } from "./directory.ts";

const othersMayWrite = 0o022;
const sticky = 0o1000;
/** As Linux has it: a path with more of them leads nowhere. */
const maxLinks = 40;

/** @throws Error saying what is wrong, and what to do, unless this is a directory of this user or of root that nobody else can write. */
export function checkDirectory(path: string, found: Stats): void {
  checkIsNoLink(path, found);
  checkOwner(path, found);
  if ((found.mode & othersMayWrite) !== 0) throw toOpenError(path, found, "go-w");
}

/** @throws Error if it is a link, wherever that leads. */
export function checkIsNoLink(path: string, found: Stats): void {
  if (found.isSymbolicLink()) throw new Error(`${path} is a symbolic link and must be a directory itself`);
}

/** @throws Error as `checkDirectory` if somebody else could put another directory in the place of this one, by the directories that are above it
 *  or that links on the way to it lead through. What others may write, but only add to, as the system's temporary directory, is fine. */
export async function checkWayTo(
  path: string,
  { statDirectory }: Pick<DirectorySteps, "statDirectory">,
): Promise<void> {
  let at = parse(path).root;
  let links = 0;
  checkStep(at, await statDirectory(at));
  const left = partsOf(dirname(path));
  for (let part = left.shift(); part !== undefined; part = left.shift()) {
    // No link is left in `at`, so that ".." means the directory above.
    if (part === "..") {
      at = dirname(at);
      continue;
    }
    const next = join(at, part);
    const found = await statDirectory(next);
    checkStep(next, found);
    if (!found.isSymbolicLink()) {
      at = next;
      continue;
    }
    if ((links += 1) > maxLinks) throw new Error(`ELOOP: too many symbolic links, ${path}`);
    const target = await readlink(next);
    if (isAbsolute(target)) at = parse(target).root;
    left.unshift(...partsOf(target));
  }
}

function partsOf(path: string): string[] {
  return path
    .slice(parse(path).root.length)
    .split(sep)
    .filter((part) => part !== "" && part !== ".");
}

function checkStep(path: string, found: Stats): void {
  checkOwner(path, found);
  if (!found.isSymbolicLink() && (found.mode & othersMayWrite) !== 0 && (found.mode & sticky) === 0)
    throw toOpenError(path, found, "go-w or +t");
}

// Where the system has no users, as Windows, the question does not arise.
function checkOwner(path: string, { uid }: Stats): void {
  const own = process.geteuid?.() ?? uid;
  if (uid === own || uid === 0) return;
  throw new Error(
    `${path} belongs to user ${uid}, not to ${own === 0 ? "root" : `user ${own} or root`}: name another directory, or trust whoever can write there with --file-kv-shared`,
  );
}

function toOpenError(path: string, { mode }: Stats, change: string): Error {
  const shown = (mode & 0o7777).toString(8).padStart(4, "0");
  return new Error(
    `others can write in ${path}, mode ${shown}: change that (chmod ${change}), name another directory, or trust them with --file-kv-shared`,
  );
}

/** True for a file that this process has written, or another one of the same user. */
export function isOwnFile(found: Stats): boolean {
  return found.isFile() && found.uid === (process.geteuid?.() ?? found.uid);
}
