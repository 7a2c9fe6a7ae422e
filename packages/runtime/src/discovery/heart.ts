/** Keeps the records of this process alive: each is touched while it is there, and written again if it is not. */
import type { Troubles } from "../condition.ts";
import type { Logger } from "../logging/logger.ts";
import { oncePerBucket, type Buckets } from "./buckets.ts";
import { isMissing, messageOf, touchFile } from "./directory.ts";
import { writeRecord } from "./record-file.ts";
import { bucketOf, recordKey, type DiscoveryRecord } from "./records.ts";

export interface HeartOptions {
  /** Records by path. */
  readonly own: ReadonlyMap<string, DiscoveryRecord>;
  readonly buckets: Buckets;
  readonly heartbeatMs: number;
  /** A beat that takes longer is a trouble, ms. */
  readonly answerMs: number;
  /** Where it is said that a record cannot be kept alive. */
  readonly troubles: Troubles;
  readonly log: Logger;
  /** Wall clock in ms. */
  readonly now: () => number;
}

export interface Heart extends Disposable {
  /** A record is not to be kept alive any more. Resolves once no beat is under way that might write it again. */
  forget(path: string): Promise<void>;
}

/** Start beating. A record whose touch fails is no reason to let the others die. */
export function startHeart(options: HeartOptions): Heart {
  const { own, buckets, heartbeatMs, answerMs, troubles } = options;
  const failing = new Set<string>();
  let beating: Promise<void> | undefined;
  let rounds = 0;
  const beat = async (): Promise<void> => {
    const open = oncePerBucket((bucket) => buckets.open(bucket)); // they may have been exchanged since the last beat
    for (const [path, record] of own) await touch(path, record, { ...options, failing, open });
    troubles.end("heartbeat");
  };
  const timer = setInterval(() => {
    rounds = beating ? rounds + 1 : 0;
    if (rounds === Math.ceil(answerMs / heartbeatMs))
      troubles.begin("heartbeat", "the directory does not answer: records of this process wait to be touched");
    beating ??= beat().finally(() => (beating = undefined));
  }, heartbeatMs);
  return {
    async forget(path) {
      await beating;
      failing.delete(path);
      troubles.forget(path);
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

interface Beat extends HeartOptions, Pick<Buckets, "open"> {
  /** Paths of records that could not be kept alive the last time. */
  readonly failing: Set<string>;
}

// Never rejects.
async function touch(path: string, record: DiscoveryRecord, beat: Beat): Promise<void> {
  const { own, troubles, failing, log } = beat;
  try {
    await keepAlive(path, record, beat);
    failing.delete(path);
    troubles.end(path);
  } catch (error) {
    if (!own.has(path)) return; // withdrawn meanwhile
    troubles.begin(path, `a record of this process cannot be kept alive: ${messageOf(error)}`);
    if (!failing.has(path))
      log.warn({ bucket: bucketOf(record), key: recordKey(record), error: messageOf(error) }, "discovery record cannot be kept alive");
    failing.add(path);
  }
}

async function keepAlive(path: string, record: DiscoveryRecord, { open, log, now }: Beat): Promise<void> {
  const bucket = bucketOf(record);
  await open(bucket);
  try {
    await touchFile(path, now());
  } catch (error) {
    if (!isMissing(error)) throw error;
    await writeRecord(path, record);
    log.warn({ bucket, key: recordKey(record) }, "discovery record was gone and has been published again");
  }
}
