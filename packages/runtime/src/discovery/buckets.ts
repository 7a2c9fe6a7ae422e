/** Where the buckets of a discovery directory are. Each is looked at anew before anything is done in it: a link may have taken its place. */
import { stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { isMissing, makeDirectory, type DirectorySteps } from "./directory.ts";
import type { Bucket } from "./records.ts";
import { checkDirectory, checkIsNoLink, checkWayTo } from "./trust.ts";

/** The directories of the buckets. Each step checks them again, because somebody may have exchanged one. */
export interface Buckets {
  /** The path of its directory. */
  pathOf(bucket: Bucket): string;
  /** @returns the inode of its directory, undefined if it is not there. Throws what the system says, and if the directory is not to be trusted. */
  find(bucket: Bucket): Promise<number | undefined>;
  /** As `find`, but it is made if it is not there. Throws also if it cannot be. */
  open(bucket: Bucket): Promise<number | undefined>;
  /** As `open`. @returns undefined if nobody has registered anything yet and it cannot be made here, as by a frontend that may only read. */
  tryOpen(bucket: Bucket): Promise<number | undefined>;
}

/** `root` is used as it is named; a link in its place is refused. */
export interface BucketsOptions {
  readonly root: string;
  /** Others may write there, too: then whose the directories are, and what others may do, does not count. */
  readonly isShared: boolean;
  readonly steps: Pick<DirectorySteps, "list" | "make" | "statDirectory">;
}

/** Nothing is touched before the first step. */
export function createBuckets({ root: named, isShared, steps }: BucketsOptions): Buckets {
  const root = resolve(named); // with a slash or a dot at its end a link would be followed
  const check = isShared ? checkIsNoLink : checkDirectory;
  const mode = isShared ? 0o777 : 0o700; // less what the umask takes away
  const pathOf = (bucket: Bucket): string => join(root, bucket);
  let reached: string | undefined;

  // Once for each directory that is there: only this user and root can change the way to it afterwards.
  async function checkWay(device: number, inode: number): Promise<void> {
    const which = `${device}:${inode}`;
    if (isShared || which === reached) return;
    await checkWayTo(root, steps);
    reached = which;
  }

  async function find(bucket: Bucket): Promise<number | undefined> {
    const directory = pathOf(bucket);
    try {
      for (const path of [root, dirname(directory), directory]) {
        const found = await steps.statDirectory(path);
        check(path, found);
        if (path === root) await checkWay(found.dev, found.ino);
      }
      return await inodeOf(directory);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async function open(bucket: Bucket): Promise<number | undefined> {
    const inode = await find(bucket);
    if (inode !== undefined) return inode;
    await makeDirectory(pathOf(bucket), mode, steps);
    return find(bucket);
  }

  return {
    pathOf,
    find,
    open,
    async tryOpen(bucket) {
      try {
        return await open(bucket);
      } catch (error) {
        const inode = await find(bucket); // somebody else may have been quicker
        if (inode !== undefined) return inode;
        await steps.list(root).catch(() => {
          throw error;
        });
        return undefined;
      }
    },
  };
}

/** The same step for many records at once: it is taken once for each bucket. */
export function oncePerBucket<Result>(step: (bucket: Bucket) => Promise<Result>): (bucket: Bucket) => Promise<Result> {
  const taken = new Map<Bucket, Promise<Result>>();
  return (bucket) => {
    const result = taken.get(bucket) ?? step(bucket);
    taken.set(bucket, result);
    return result;
  };
}

// The "." asks for the right to look at what is in it, which the right to list it does not include.
async function inodeOf(directory: string): Promise<number> {
  return (await stat(`${directory}/.`)).ino;
}
