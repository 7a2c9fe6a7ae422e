/** Discovery in a directory, in Dynamo's layout (runtime storage/kv/file.rs): one file a record, alive while its mtime is fresh. */
import { mkdir, readdir, rm, utimes } from "node:fs/promises";
import { join } from "node:path";
import { RuntimeError } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";
import { openBucketWatch, type BucketWatch } from "./bucket-watch.ts";
import { toClosedError, type Discovery } from "./discovery.ts";
import { encodeFileName, isMissing, writeRecord } from "./record-file.ts";
import { bucketOf, recordKey, type Bucket, type DiscoveryRecord } from "./records.ts";

export interface FileDiscoveryOptions {
  readonly root: string;
  readonly log: Logger;
  /** A record whose mtime is older is dead, ms. Default 10 000, as Dynamo's. */
  readonly ttlMs?: number;
  /** How often own records are touched, ms. Default 3 000. */
  readonly heartbeatMs?: number;
  /** How often a watched bucket is listed even if no change was announced, ms. Default 500. */
  readonly relistMs?: number;
  /** Wall clock in ms. */
  readonly now?: () => number;
}

type Settings = Required<FileDiscoveryOptions>;

/** Open a discovery directory; it is made if missing. Touches, re-publishes and sweeps until disposed.
 *  @throws RuntimeError `unavailable` if it can be neither made nor read. */
export async function openFileDiscovery(options: FileDiscoveryOptions): Promise<Discovery> {
  const settings: Settings = { ttlMs: 10_000, heartbeatMs: 3_000, relistMs: 500, now: Date.now, ...options };
  await checkDirectory(settings.root);
  const own = new Map<string, DiscoveryRecord>();
  const watches = new Map<Bucket, BucketWatch>();
  const heart = startHeart(own, settings);
  const publishing = new Map<string, Promise<void>>();
  let closed = false;
  return {
    kind: "file",
    async publish(record) {
      if (closed) throw toClosedError();
      const path = join(settings.root, bucketOf(record), encodeFileName(recordKey(record)));
      const written = writeRecord(path, record);
      publishing.set(path, written);
      try {
        await written;
      } catch (cause) {
        throw new RuntimeError("unavailable", `cannot write discovery record ${path}: ${messageOf(cause)}`, { cause });
      } finally {
        publishing.delete(path);
      }
      if (closed) throw toClosedError(); // whoever closed it removes the file
      own.set(path, record);
      return {
        async [Symbol.asyncDispose]() {
          if (!own.delete(path)) return;
          await heart.atRest(); // a heartbeat under way must not write the record again
          await rm(path, { force: true });
        },
      };
    },
    watch(bucket, onSnapshot) {
      if (closed) throw toClosedError();
      const { root, relistMs, ...reading } = settings;
      const shared =
        watches.get(bucket) ?? openBucketWatch({ ...reading, directory: join(root, bucket), relistMs, onClose: () => watches.delete(bucket) });
      watches.set(bucket, shared);
      return shared.listen(onSnapshot);
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      heart[Symbol.dispose]();
      for (const watch of watches.values()) watch[Symbol.dispose]();
      const paths = [...own.keys(), ...publishing.keys()];
      own.clear();
      await Promise.allSettled([heart.atRest(), ...publishing.values()]);
      for (const path of paths) await rm(path, { force: true });
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function checkDirectory(root: string): Promise<void> {
  const buckets: readonly Bucket[] = ["v1/instances", "v1/mdc"];
  try {
    for (const bucket of buckets) {
      await mkdir(join(root, bucket), { recursive: true });
      await readdir(join(root, bucket));
    }
  } catch (cause) {
    throw new RuntimeError("unavailable", `the discovery directory ${root} (--file-kv, DYN_FILE_KV) cannot be used: ${messageOf(cause)}`, { cause });
  }
}

interface Heart extends Disposable {
  /** Resolves when no beat is under way. */
  atRest(): Promise<void>;
}

// Keeps own records alive. One whose touch fails is no reason to let the others die.
function startHeart(own: ReadonlyMap<string, DiscoveryRecord>, settings: Settings): Heart {
  const failing = new Set<string>();
  let beating: Promise<void> | undefined;
  const beat = async (): Promise<void> => {
    for (const [path, record] of own) {
      try {
        await keepAlive(path, record, settings);
        failing.delete(path);
      } catch (error) {
        if (!failing.has(path))
          settings.log.warn({ bucket: bucketOf(record), key: recordKey(record), error: messageOf(error) }, "discovery record cannot be kept alive");
        failing.add(path);
      }
    }
  };
  const timer = setInterval(() => {
    beating ??= beat().finally(() => (beating = undefined));
  }, settings.heartbeatMs);
  return {
    atRest: async () => beating,
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

async function keepAlive(path: string, record: DiscoveryRecord, { log, now }: Settings): Promise<void> {
  const seconds = now() / 1000;
  try {
    await utimes(path, seconds, seconds);
  } catch (error) {
    if (!isMissing(error)) throw error;
    await writeRecord(path, record);
    log.warn({ bucket: bucketOf(record), key: recordKey(record) }, "discovery record was gone and has been published again");
  }
}
