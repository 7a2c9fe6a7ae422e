/** Follows one bucket of the directory for everybody in this runtime who listens to it. */
import type { Troubles } from "../condition.ts";
import { createAnnouncer, type Announcer } from "./announcer.ts";
import { messageOf } from "./directory.ts";
import { createBucketFiles, type BucketFiles } from "./bucket-files.ts";
import type { Buckets } from "./buckets.ts";
import { deliver, type Change, type OnChanges, type Watch } from "./discovery.ts";
import { createRecordTable } from "./record-table.ts";
import type { ReadOptions } from "./record-file.ts";
import type { Bucket } from "./records.ts";

/** Changes announced within this time are one listing, ms. */
const gatherMs = 20;

export interface BucketWatchOptions extends ReadOptions {
  readonly bucket: Bucket;
  readonly buckets: Buckets;
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

/** Start following; the first listing is on its way. */
export function openBucketWatch(options: BucketWatchOptions): BucketWatch {
  const { bucket, buckets, relistMs, answerMs, steps, troubles, silence, onClose } = options;
  const directory = buckets.pathOf(bucket);
  const table = createRecordTable();
  const listeners = new Set<Disposable>();
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  const files = createBucketFiles({ ...options, directory });
  let closed = false;

  const onChange = (name: string | undefined): void => {
    if (name === undefined) files.doubt();
    else files.announce(name);
    looks.soon(name === undefined);
  };
  const announcer = createAnnouncer({ directory, steps, silence, onChange });

  const tell = (changes: readonly Change[]): void => {
    if (!closed) table.apply(changes);
  };
  const look = createLook({ ...options, directory, files, announcer, tell, onListed: resolve, isClosed: () => closed });
  const onSlow = (): void =>
    troubles.begin(directory, `the directory does not answer: nothing from ${directory} for ${answerMs / 1000} s`);
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

interface LookParts extends Pick<BucketWatchOptions, "bucket" | "buckets" | "troubles"> {
  readonly directory: string;
  readonly files: BucketFiles;
  readonly announcer: Announcer;
  readonly tell: (changes: readonly Change[]) => void;
  readonly onListed: () => void;
  readonly isClosed: () => boolean;
}

// A look at the whole directory, or at what was announced. Never rejects.
function createLook({
  bucket,
  buckets,
  directory,
  troubles,
  files,
  announcer,
  tell,
  onListed,
  isClosed,
}: LookParts): LooksOptions["look"] {
  let listed: number | undefined;
  const list = async (): Promise<void> => {
    const inode = await buckets.tryOpen(bucket);
    if (isClosed()) return;
    if (inode !== listed) files.doubt(); // another directory has taken its place
    listed = inode;
    if (inode !== undefined) announcer.follow(inode);
    tell(inode === undefined ? files.clear() : await files.list());
    troubles.end(directory);
    onListed();
  };
  return async (isWhole) => {
    try {
      if (isWhole) await list();
      else if ((await buckets.find(bucket)) !== undefined) tell(await files.lookAtAnnounced());
    } catch (error) {
      if (!isClosed()) troubles.begin(directory, `the directory cannot be listed: ${messageOf(error)}`);
    }
  };
}

interface LooksOptions {
  readonly everyMs: number;
  /** A look that takes longer is told of. */
  readonly slowMs: number;
  /** At the whole directory, or at what was announced. Must not reject. */
  readonly look: (isWhole: boolean) => Promise<void>;
  readonly onSlow: () => void;
}

interface Looks extends Disposable {
  /** At the whole directory. */
  now(): void;
  /** With all that asks within a moment: at what was announced, or at the whole directory. */
  soon(isWhole: boolean): void;
}

// One look at a time, at least every `everyMs`; whoever asks during one gets one more.
function createLooks({ everyMs, slowMs, look, onSlow }: LooksOptions): Looks {
  // Rounds, not time: those in which this process was stopped are not the directory's.
  const slowRounds = Math.ceil(slowMs / everyMs);
  let rounds = 0;
  let isRunning = false;
  let wanted: "whole" | "announced" | undefined;
  let closed = false;
  let gathering: NodeJS.Timeout | undefined;
  let isWholeGathered = false;
  const run = async (): Promise<void> => {
    isRunning = true;
    while (wanted) {
      const isWhole = wanted === "whole";
      wanted = undefined;
      rounds = 0;
      await look(isWhole);
    }
    isRunning = false;
  };
  const want = (isWhole: boolean): void => {
    if (closed) return;
    if (wanted !== "whole") wanted = isWhole ? "whole" : "announced";
    if (!isRunning) void run();
  };
  const gather = (): void => {
    gathering = undefined;
    want(isWholeGathered);
    isWholeGathered = false;
  };
  const timer = setInterval(() => {
    rounds += 1;
    if (isRunning && rounds === slowRounds) onSlow();
    want(true);
  }, everyMs);
  return {
    now: () => want(true),
    soon(isWhole) {
      if (closed) return;
      isWholeGathered ||= isWhole;
      gathering ??= setTimeout(gather, gatherMs);
    },
    [Symbol.dispose]() {
      closed = true;
      wanted = undefined;
      clearInterval(timer);
      clearTimeout(gathering);
    },
  };
}
