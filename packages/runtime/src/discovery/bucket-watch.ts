/** Follows one bucket of the directory for everybody in this runtime who listens to it. */
import type { Troubles } from "../condition.ts";
import { createNotifier, type Notifier } from "./notifier.ts";
import { messageOf } from "./directory.ts";
import { createBucketFiles, type BucketFiles } from "./bucket-files.ts";
import type { Buckets } from "./buckets.ts";
import { deliver, type Change, type OnChanges, type Watch } from "./discovery.ts";
import { createRecordTable } from "./record-table.ts";
import type { ReadOptions } from "./record-file.ts";
import type { Bucket } from "./records.ts";
import { createRescans, type RescansOptions } from "./rescans.ts";

/** What a watch shares with the discovery that opened it. Times are ms. */
export interface BucketWatchOptions extends ReadOptions {
  readonly bucket: Bucket;
  readonly buckets: Buckets;
  /** How often the bucket is listed even if no change was announced, ms. */
  readonly relistMs: number;
  /** A scan that takes longer is a trouble, ms. */
  readonly answerMs: number;
  /** Where it is said that the bucket cannot be listed. */
  readonly troubles: Troubles;
  /** Where it is said that changes are not announced. */
  readonly silence: Troubles;
  /** Called once, when the last listener has left and the watch is over. */
  readonly onClose: () => void;
}

/** Disposing it ends the watch for all who listen. */
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
  const files = createBucketFiles(options);
  let closed = false;

  const onChange = (name: string | undefined): void => {
    if (name === undefined) files.doubt();
    else files.announce(name);
    rescans.soon(name === undefined);
  };
  const notifier = createNotifier({ directory, steps, silence, onChange });

  const tell = (changes: readonly Change[]): void => {
    if (!closed) table.apply(changes);
  };
  const scan = createScan({ ...options, directory, files, notifier, tell, onListed: resolve, isClosed: () => closed });
  const onSlow = (): void =>
    troubles.begin(directory, `the directory does not answer: nothing from ${directory} for ${answerMs / 1000} s`);
  const rescans = createRescans({ everyMs: relistMs, slowMs: answerMs, scan, onSlow });
  const close = (): void => {
    if (closed) return;
    closed = true;
    rescans[Symbol.dispose]();
    notifier[Symbol.dispose]();
    troubles.forget(directory);
    onClose();
  };
  rescans.now();
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

interface ScanParts extends Pick<BucketWatchOptions, "bucket" | "buckets" | "troubles"> {
  readonly directory: string;
  readonly files: BucketFiles;
  readonly notifier: Notifier;
  readonly tell: (changes: readonly Change[]) => void;
  readonly onListed: () => void;
  readonly isClosed: () => boolean;
}

// Lists the whole directory, or reads what was announced. Never rejects: a failure is a trouble that is told.
function createScan({
  bucket,
  buckets,
  directory,
  troubles,
  files,
  notifier,
  tell,
  onListed,
  isClosed,
}: ScanParts): RescansOptions["scan"] {
  let listed: number | undefined;
  const list = async (): Promise<void> => {
    await using opened = await buckets.tryOpen(bucket);
    if (isClosed()) return;
    const inode = opened?.found.ino;
    if (inode !== listed) files.doubt(); // another directory has taken its place
    listed = inode;
    if (inode !== undefined) notifier.follow(inode);
    tell(opened ? await files.list(opened) : files.clear());
    troubles.end(directory);
    onListed();
  };
  const readAnnounced = async (): Promise<void> => {
    await using opened = await buckets.find(bucket);
    if (opened) tell(await files.readAnnounced(opened));
  };
  return async (isWhole) => {
    try {
      await (isWhole ? list() : readAnnounced());
    } catch (error) {
      if (!isClosed()) troubles.begin(directory, `the directory cannot be listed: ${messageOf(error)}`);
    }
  };
}
