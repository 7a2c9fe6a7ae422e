/** The buckets of a discovery directory. Each is opened anew for whatever is to be done in it, and checked: a link may have taken its place since. */
import type { Stats } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { isMissing, makeDirectory, makeOne, type DirectorySteps } from "./directory.ts";
import { openDirectory, type HeldPath, type OpenDirectory } from "./open-directory.ts";
import type { Bucket } from "./records.ts";
import { checkDirectory, checkIsNoLink, checkWayTo } from "./trust.ts";

/** The directories of the buckets. Whoever opens one closes it. */
export interface Buckets {
  /** The path of its directory. */
  pathOf(bucket: Bucket): string;
  /** Open its directory. @returns undefined if it is not there. Throws what the system says, and if the directory is not to be trusted. */
  find(bucket: Bucket): Promise<OpenDirectory | undefined>;
  /** As `find`, but it is made if it is not there. Throws also if it cannot be. */
  open(bucket: Bucket): Promise<OpenDirectory>;
  /** As `open`. @returns undefined if nobody has registered anything yet and it cannot be made here, as by a frontend that may only read. */
  tryOpen(bucket: Bucket): Promise<OpenDirectory | undefined>;
}

/** `root` is used as it is named; a link in its place is refused. */
export interface BucketsOptions {
  readonly root: string;
  /** Others may write there, too: then whose the directories are, and what others may do, does not count. */
  readonly isShared: boolean;
  readonly steps: Pick<DirectorySteps, "hold" | "list" | "make" | "statDirectory">;
}

/** Nothing is touched before the first step. */
export function createBuckets({ root: named, isShared, steps }: BucketsOptions): Buckets {
  const root = resolve(named); // with a slash or a dot at its end a link would be followed
  const walk = createWalk({ root, isShared, steps });

  async function find(bucket: Bucket): Promise<OpenDirectory | undefined> {
    try {
      return await walk(bucket, false);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  return {
    pathOf: (bucket) => join(root, bucket),
    find,
    open: (bucket) => walk(bucket, true),
    async tryOpen(bucket) {
      try {
        return await walk(bucket, true);
      } catch (error) {
        const found = await find(bucket); // somebody else may have been quicker
        if (found) return found;
        await steps.list(root).catch(() => {
          throw error;
        });
        return undefined;
      }
    },
  };
}

type Walk = (bucket: Bucket, isMade: boolean) => Promise<OpenDirectory>;

// From the root down: each directory is looked for in the one above it, which is held open meanwhile.
function createWalk({ root, isShared, steps }: BucketsOptions): Walk {
  const check = isShared ? checkIsNoLink : checkDirectory;
  const mode = isShared ? 0o777 : 0o700; // less what the umask takes away
  let reached: string | undefined;

  // Once for each directory that is there: only this user and root can change the way to it afterwards.
  async function checkWay({ dev, ino }: Stats): Promise<void> {
    const which = `${dev}:${ino}`;
    if (isShared || which === reached) return;
    await checkWayTo(root, steps);
    reached = which;
  }

  // With `make` it is made if it is not there.
  async function enter(
    path: string,
    hold: () => Promise<HeldPath>,
    make?: () => Promise<void>,
  ): Promise<OpenDirectory> {
    const options = { path, hold, check };
    try {
      return await openDirectory(options);
    } catch (error) {
      if (!make || !isMissing(error)) throw error;
    }
    await make();
    return openDirectory(options);
  }

  function enterBelow(above: OpenDirectory, name: string, isMade: boolean): Promise<OpenDirectory> {
    const make = (): Promise<void> => above.at(name, (path) => makeOne(path, mode, steps));
    return enter(join(above.path, name), () => above.at(name, steps.hold), isMade ? make : undefined);
  }

  return async (bucket, isMade) => {
    const make = (): Promise<void> => makeDirectory(root, mode, steps);
    await using top = await enter(root, () => steps.hold(root), isMade ? make : undefined);
    await checkWay(top.found);
    await using version = await enterBelow(top, dirname(bucket), isMade);
    return await enterBelow(version, basename(bucket), isMade);
  };
}

/** Buckets that are opened when they are first asked for, each once. Disposing it closes them. */
export interface OpenBuckets<Found> extends AsyncDisposable {
  get(bucket: Bucket): Promise<Found>;
}

/** For many records at once. Nothing is opened before the first of them asks. */
export function openOnce<Found extends OpenDirectory | undefined>(
  open: (bucket: Bucket) => Promise<Found>,
): OpenBuckets<Found> {
  const opened = new Map<Bucket, Promise<Found>>();
  return {
    get(bucket) {
      const found = opened.get(bucket) ?? open(bucket);
      opened.set(bucket, found);
      return found;
    },
    async [Symbol.asyncDispose]() {
      for (const each of await Promise.allSettled(opened.values()))
        if (each.status === "fulfilled") await each.value?.[Symbol.asyncDispose]();
    },
  };
}
