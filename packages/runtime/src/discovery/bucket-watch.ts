/** Follows one bucket of the directory for everybody in this runtime who listens to it. */
import type { Troubles } from "../condition.ts";
import { createAnnouncer } from "./announcer.ts";
import { messageOf, openBucketDirectory } from "./directory.ts";
import { deliver, type Change, type OnChanges, type Watch } from "./discovery.ts";
import { isTemporary, readRecordFile, type KnownFile, type ReadOptions } from "./record-file.ts";
import { createRecordTable } from "./record-table.ts";
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
  /** As `Discovery.watch`; what is known already is told at once. */
  listen(onChanges: OnChanges, under?: string): Watch;
}

type Files = ReadonlyMap<string, KnownFile>;

/** Start following; the first listing is on its way. */
export function openBucketWatch(options: BucketWatchOptions): BucketWatch {
  const { root, directory, relistMs, answerMs, steps, troubles, silence, onClose } = options;
  const table = createRecordTable();
  const listeners = new Set<Disposable>();
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  let known: Files = new Map();
  let closed = false;

  const announcer = createAnnouncer({ directory, steps, silence, onChange: () => looks.soon() });

  const list = async (): Promise<void> => {
    const inode = await openBucketDirectory(root, directory, steps);
    if (closed) return;
    if (inode !== undefined) announcer.follow(inode);
    const current: Files = inode === undefined ? new Map() : await listFiles(known, options);
    if (closed) return;
    const changes = toChanges(known, current);
    known = current;
    table.apply(changes);
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
    listen(onChanges, under) {
      const listening = table.listen((changes) => deliver(onChanges, changes, options.log), under);
      listeners.add(listening);
      return {
        ready,
        [Symbol.dispose]() {
          listening[Symbol.dispose]();
          if (listeners.delete(listening) && listeners.size === 0) close();
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

function toChanges(before: Files, after: Files): Change[] {
  const changes: Change[] = [];
  for (const [name, { record }] of after) {
    if (record && record !== before.get(name)?.record) changes.push({ key: recordKey(record), record });
  }
  for (const [name, { record }] of before) {
    if (record && !after.get(name)?.record) changes.push({ key: recordKey(record), record: undefined });
  }
  return changes;
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
