/** A directory that is held open: what is done in it is done there, whatever has taken its place at its path by then. */
import { constants, type Stats } from "node:fs";
import { lstat, open, stat } from "node:fs/promises";

/** Linux's O_PATH, which Node does not name. It opens whatever is there, also a link or a pipe, asks for no right to read it, and waits for nobody. */
const byNameAlone = 0o10000000;

/** What is at a path, held or only looked at. Disposing it lets go. */
export interface HeldPath extends AsyncDisposable {
  /** Of a link, the link. */
  readonly found: Stats;
  /** Undefined where a path cannot be held. */
  readonly descriptor: number | undefined;
}

/** Hold whatever is at `path`, where the system can: a link is not followed. */
export async function holdPath(path: string): Promise<HeldPath> {
  if (process.platform !== "linux")
    return { found: await lstat(path), descriptor: undefined, [Symbol.asyncDispose]: async () => undefined };
  const handle = await open(path, byNameAlone | constants.O_NOFOLLOW);
  try {
    return { found: await handle.stat(), descriptor: handle.fd, [Symbol.asyncDispose]: () => handle.close() };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Disposing it closes it. */
export interface OpenDirectory extends AsyncDisposable {
  /** As it is named: for the log. */
  readonly path: string;
  readonly found: Stats;
  /** Take a step at what has this name in it. Errors name it by `path`. */
  at<Result>(name: string, step: (path: string) => Promise<Result>): Promise<Result>;
}

/** How it is opened. */
export interface OpenDirectoryOptions {
  /** As it is named. */
  readonly path: string;
  /** Takes hold of it. */
  readonly hold: () => Promise<HeldPath>;
  /** Throws unless what is there may be used. */
  readonly check: (path: string, found: Stats) => void;
}

/** Open it. Where the system cannot hold it, as outside Linux or without /proc, each step goes by its path: another may have its place by then.
 *  @throws what the system says, and what `check` throws. */
export async function openDirectory({ path, hold, check }: OpenDirectoryOptions): Promise<OpenDirectory> {
  const held = await hold();
  try {
    const { found } = held;
    check(path, found);
    const way = await findWay(path, held);
    return {
      path,
      found,
      at: (name, step) => step(`${way}/${name}`).catch((error: unknown) => throwNamed(error, way, path)),
      [Symbol.asyncDispose]: () => held[Symbol.asyncDispose](),
    };
  } catch (error) {
    await held[Symbol.asyncDispose]();
    throw error;
  }
}

// Node has no calls relative to an open directory, but Linux has a path that leads through one. The "." asks for the right to look at what is in it.
async function findWay(path: string, { found, descriptor }: HeldPath): Promise<string> {
  const through = `/proc/self/fd/${descriptor}`;
  const there = descriptor === undefined ? undefined : await stat(`${through}/.`).catch(() => undefined);
  if (there && there.ino === found.ino && there.dev === found.dev) return through;
  await stat(`${path}/.`);
  return path;
}

function throwNamed(error: unknown, way: string, path: string): never {
  if (error instanceof Error) error.message = error.message.replaceAll(`${way}/`, `${path}/`);
  throw error;
}
