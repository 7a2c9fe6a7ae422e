/** Follows one bucket of the directory for everybody in this runtime who listens to it. */
import type { Troubles } from "../condition.ts";
import { createAnnouncer } from "./announcer.ts";
import { messageOf, openBucketDirectory } from "./directory.ts";
import { deliver, type OnSnapshot, type Snapshot, type Watch } from "./discovery.ts";
import { isTemporary, readRecordFile, type KnownFile, type ReadOptions } from "./record-file.ts";
import { recordKey } from "./records.ts";

/** Changes announced within this time are one listing, ms. */
const gatherMs = 20;
/** How many files are looked at at a time. */
const lanes = 16;

export interface BucketWatchOptions extends ReadOptions {
  readonly root: string;
  /** Of the bucket, below `root`. */
  readonly directory: string;
  /** How often the bucket is listed even if no change was announced, ms. */
  readonly relistMs: number;
  /** A look that takes longer is a trouble, ms. */
  readonly answerMs: number;
  /** Where it is said that the bucket cannot be listed. */
  readonly troubles: Troubles;
  /** Where it is said that changes are not announced. */
  readonly silence: Troubles;
  /** Called once, when the last listener has left and the watch is over. */
  readonly onClose: () => void;
}

export interface BucketWatch extends Disposable {
  /** Hear the whole bucket, at once if it is known, and at every change. */
  listen(onSnapshot: OnSnapshot): Watch;
}

type Files = ReadonlyMap<string, KnownFile>;

/** Start following; the first listing is on its way. */
export function openBucketWatch(options: BucketWatchOptions): BucketWatch {
  const { root, directory, relistMs, answerMs, steps, troubles, silence, onClose } = options;
  const listeners = new Set<OnSnapshot>();
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  let known: Files = new Map();
  let snapshot: Snapshot | undefined;
  let closed = false;

  const announcer = createAnnouncer({ directory, steps, silence, onChange: () => looks.soon() });

  const list = async (): Promise<void> => {
    const inode = await openBucketDirectory(root, directory, steps);
    if (closed) return;
    if (inode !== undefined) announcer.follow(inode);
    known = inode === undefined ? new Map() : await listFiles(known, options);
    const current = toSnapshot(known);
    if (closed || (snapshot && isSame(snapshot, current))) return;
    snapshot = current;
    for (const onSnapshot of listeners) deliver(onSnapshot, current, options.log);
    resolve();
  };
  const look = async (): Promise<void> => {
    try {
      await list();
      troubles.end(directory);
    } catch (error) {
      if (!closed) troubles.begin(directory, `the directory cannot be listed: ${messageOf(error)}`);
    }
  };
  const onSlow = (): void => troubles.begin(directory, `the directory does not answer: nothing from ${directory} for ${answerMs / 1000} s`);
  const looks = createLooks({ everyMs: relistMs, slowMs: answerMs, look, onSlow });
  const close = (): void => {
    if (closed) return;
    closed = true;
    looks[Symbol.dispose]();
    announcer[Symbol.dispose]();
    troubles.forget(directory);
    onClose();
  };
  looks.now();
  return {
    listen(onSnapshot) {
      listeners.add(onSnapshot);
      if (snapshot) deliver(onSnapshot, snapshot, options.log);
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

interface LooksOptions {
  readonly everyMs: number;
  /** A look that takes longer is told of. */
  readonly slowMs: number;
  /** Must not reject. */
  readonly look: () => Promise<void>;
  readonly onSlow: () => void;
}

interface Looks extends Disposable {
  now(): void;
  /** With all that ask within a moment. */
  soon(): void;
}

// One look at a time, at least every `everyMs`; whoever asks during one gets one more.
function createLooks({ everyMs, slowMs, look, onSlow }: LooksOptions): Looks {
  // Rounds, not time: those in which this process was stopped are not the directory's.
  const slowRounds = Math.ceil(slowMs / everyMs);
  let rounds = 0;
  let running = false;
  let again = false;
  let closed = false;
  let gathering: NodeJS.Timeout | undefined;
  const run = async (): Promise<void> => {
    running = true;
    again = false;
    rounds = 0;
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
  const timer = setInterval(() => {
    rounds += 1;
    if (running && rounds === slowRounds) onSlow();
    now();
  }, everyMs);
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

function toSnapshot(files: Files): Snapshot {
  return new Map([...files.values()].flatMap(({ record }) => (record ? [[recordKey(record), record] as const] : [])));
}

function isSame(before: Snapshot, after: Snapshot): boolean {
  return before.size === after.size && [...after].every(([key, record]) => before.get(key) === record);
}

async function listFiles(known: Files, options: BucketWatchOptions): Promise<Files> {
  const { directory, steps } = options;
  const names = (await steps.list(directory)).values();
  const live = new Map<string, KnownFile>();
  const lane = async (): Promise<void> => {
    for (const name of names) {
      if (name.startsWith(".") && !isTemporary(name)) continue; // of others, such as Dynamo's lock
      const file = await readRecordFile(directory, name, known.get(name), options);
      if (file) live.set(name, file);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return live;
}
