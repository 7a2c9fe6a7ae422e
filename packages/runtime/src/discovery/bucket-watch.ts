/** Follows one bucket of the directory for everybody in this runtime who listens to it. */
import { watch as watchDirectory, type FSWatcher } from "node:fs";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Snapshot, Watch } from "./discovery.ts";
import { isMissing, isTemporary, readRecordFile, type KnownFile, type ReadOptions } from "./record-file.ts";
import { recordKey } from "./records.ts";

/** Changes announced within this time are one listing, ms. */
const gatherMs = 20;
/** How many files are looked at at a time. */
const lanes = 16;

export interface BucketWatchOptions extends ReadOptions {
  readonly directory: string;
  /** How often the bucket is listed even if no change was announced, ms. */
  readonly relistMs: number;
  /** Called once, when the last listener has left and the watch is over. */
  readonly onClose: () => void;
}

type OnSnapshot = (snapshot: Snapshot) => void;

export interface BucketWatch extends Disposable {
  /** Hear the whole bucket, at once if it is known, and at every change. */
  listen(onSnapshot: OnSnapshot): Watch;
}

type Files = ReadonlyMap<string, KnownFile>;

/** Start following; the first listing is on its way. */
export function openBucketWatch(options: BucketWatchOptions): BucketWatch {
  const { directory, relistMs, log, onClose } = options;
  const listeners = new Set<OnSnapshot>();
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  let known: Files = new Map();
  let snapshot: Snapshot | undefined;
  let trouble: string | undefined;
  let closed = false;

  const announcer = createAnnouncer(directory, () => looks.soon());

  const list = async (): Promise<void> => {
    await mkdir(directory, { recursive: true });
    const { ino } = await stat(directory);
    if (closed) return;
    announcer.follow(ino);
    known = await listFiles(known, options);
    const current = toSnapshot(known);
    if (closed || (snapshot && isSame(snapshot, current))) return;
    snapshot = current;
    for (const onSnapshot of listeners) deliver(onSnapshot, current, options);
    resolve();
  };
  const looks = createLooks(relistMs, async () => {
    try {
      await list();
      if (trouble !== undefined) log.info({ directory }, "discovery directory can be listed again");
      trouble = undefined;
    } catch (error) {
      const { code, message } = toFault(error);
      if (code !== trouble) log.warn({ directory, error: message }, "discovery directory cannot be listed");
      trouble = code;
    }
  });
  const close = (): void => {
    if (closed) return;
    closed = true;
    looks[Symbol.dispose]();
    announcer[Symbol.dispose]();
    onClose();
  };
  looks.now();
  return {
    listen(onSnapshot) {
      listeners.add(onSnapshot);
      if (snapshot) deliver(onSnapshot, snapshot, options);
      return {
        ready,
        [Symbol.dispose]() {
          if (listeners.delete(onSnapshot) && listeners.size === 0) close();
        },
      };
    },
    [Symbol.dispose]: close,
  };
}

// The message also names the step that failed, which differs from look to look.
function toFault(error: unknown): { readonly code: string; readonly message: string } {
  if (!(error instanceof Error)) return { code: "unknown", message: String(error) };
  return { code: "code" in error ? String(error.code) : error.message, message: error.message };
}

interface Looks extends Disposable {
  now(): void;
  /** With all that ask within a moment. */
  soon(): void;
}

// One look at a time, at least every `everyMs`; whoever asks during one gets one more. `look` must not reject.
function createLooks(everyMs: number, look: () => Promise<void>): Looks {
  let running = false;
  let again = false;
  let closed = false;
  let gathering: NodeJS.Timeout | undefined;
  const run = async (): Promise<void> => {
    running = true;
    again = false;
    await look();
    running = false;
    if (again) now();
  };
  function now(): void {
    clearTimeout(gathering);
    gathering = undefined;
    if (closed) return;
    if (running) again = true;
    else void run();
  }
  const timer = setInterval(now, everyMs);
  return {
    now,
    soon() {
      if (!closed) gathering ??= setTimeout(now, gatherMs);
    },
    [Symbol.dispose]() {
      closed = true;
      clearInterval(timer);
      clearTimeout(gathering);
    },
  };
}

// The others hear it all the same.
function deliver(onSnapshot: OnSnapshot, snapshot: Snapshot, { directory, log }: BucketWatchOptions): void {
  try {
    onSnapshot(snapshot);
  } catch (error) {
    log.error({ directory, error }, "listener of discovery failed");
  }
}

interface Announcer extends Disposable {
  /** Hear of changes in the directory that has this inode now: another may have taken the name. */
  follow(inode: number): void;
}

function createAnnouncer(directory: string, onChange: () => void): Announcer {
  let watcher: FSWatcher | undefined;
  let followed: number | undefined;
  return {
    follow(inode) {
      if (inode === followed) return;
      watcher?.close();
      watcher = announceChanges(directory, onChange, () => (followed = undefined));
      followed = inode;
    },
    [Symbol.dispose]: () => watcher?.close(),
  };
}

// The announcement only makes joining fast; the regular listing is what is relied on. A touch is a "change" and no news.
function announceChanges(directory: string, onChange: () => void, onLost: () => void): FSWatcher {
  const watcher = watchDirectory(directory, { persistent: false }, (event) => {
    if (event === "rename") onChange();
  });
  watcher.on("error", () => {
    watcher.close();
    onLost();
  });
  return watcher;
}

function toSnapshot(files: Files): Snapshot {
  return new Map([...files.values()].flatMap(({ record }) => (record ? [[recordKey(record), record] as const] : [])));
}

function isSame(before: Snapshot, after: Snapshot): boolean {
  return before.size === after.size && [...after].every(([key, record]) => before.get(key) === record);
}

async function listFiles(known: Files, options: BucketWatchOptions): Promise<Files> {
  const { directory } = options;
  const names = (await readdir(directory)).values();
  const live = new Map<string, KnownFile>();
  const lane = async (): Promise<void> => {
    for (const name of names) {
      if (isTemporary(name)) await sweepTemporary(join(directory, name), options);
      if (name.startsWith(".")) continue;
      const file = await readRecordFile(directory, name, known.get(name), options);
      if (file) live.set(name, file);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return live;
}

// A writer that was killed between writing and linking leaves its file behind.
async function sweepTemporary(path: string, { now, ttlMs }: ReadOptions): Promise<void> {
  try {
    if (now() - (await stat(path)).mtimeMs > ttlMs) await rm(path, { force: true });
  } catch (error) {
    if (!isMissing(error)) throw error; // its writer has renamed it meanwhile
  }
}
