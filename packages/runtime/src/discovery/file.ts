/** Discovery in a directory, in Dynamo's layout (runtime storage/kv/file.rs): one file a record, alive while its mtime is fresh. */
import { join } from "node:path";
import { createTroubles, type Troubles } from "../condition.ts";
import { RuntimeError } from "../errors.ts";
import { within } from "../lifetime.ts";
import type { Logger } from "../logging/logger.ts";
import { openBucketWatch, type BucketWatch } from "./bucket-watch.ts";
import { directorySteps, messageOf, openBucketDirectory, type DirectorySteps } from "./directory.ts";
import { toClosedError, type Discovery } from "./discovery.ts";
import { startHeart } from "./heart.ts";
import { encodeFileName, writeRecord } from "./record-file.ts";
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
  /** How long the directory may take to answer before that is a trouble, and at the start an error, ms. Default 10 000. */
  readonly answerMs?: number;
  /** How long it may take to withdraw a record before that is given up: the record expires by itself, ms. Default 2 000. */
  readonly withdrawMs?: number;
  /** Wall clock in ms. */
  readonly now?: () => number;
  /** Default: those of the system. */
  readonly steps?: DirectorySteps;
}

type Settings = Required<FileDiscoveryOptions>;

const defaults = { ttlMs: 10_000, heartbeatMs: 3_000, relistMs: 500, answerMs: 10_000, withdrawMs: 2_000, now: Date.now, steps: directorySteps };

/** Open a discovery directory; it is made if missing. Touches, re-publishes and sweeps until disposed.
 *  @throws RuntimeError `unavailable` if it can be neither made nor read, or does not answer. */
export async function openFileDiscovery(options: FileDiscoveryOptions): Promise<Discovery> {
  const settings: Settings = { ...defaults, ...options };
  const { root, answerMs, withdrawMs, steps } = settings;
  await checkDirectory(settings);
  const { troubles, silence } = createNotices(settings);
  const own = new Map<string, DiscoveryRecord>();
  const watches = new Map<Bucket, BucketWatch>();
  const heart = startHeart({ ...settings, own, troubles });
  const publishing = new Map<string, Promise<void>>();
  let closed = false;
  return {
    kind: "file",
    get condition() {
      return troubles.condition;
    },
    async publish(record) {
      if (closed) throw toClosedError();
      const path = join(root, bucketOf(record), encodeFileName(recordKey(record)));
      const written = writeRecord(path, record);
      publishing.set(path, written);
      try {
        await inTime(written, answerMs);
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
          const withdrawn = heart.forget(path).then(() => steps.remove(path));
          await inTime(withdrawn, withdrawMs);
        },
      };
    },
    watch(bucket, onChanges, under) {
      if (closed) throw toClosedError();
      const onClose = (): void => void watches.delete(bucket);
      const shared = watches.get(bucket) ?? openBucketWatch({ ...settings, directory: join(root, bucket), troubles, silence, onClose });
      watches.set(bucket, shared);
      return shared.listen(onChanges, under);
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      heart[Symbol.dispose]();
      for (const watch of watches.values()) watch[Symbol.dispose]();
      const paths = [...own.keys(), ...publishing.keys()];
      own.clear();
      const withdrawn = Promise.allSettled([...paths.map((path) => heart.forget(path)), ...publishing.values()]).then(() => removeAll(paths, steps));
      await inTime(withdrawn, withdrawMs);
    },
  };
}

type Notices = Readonly<Record<"troubles" | "silence", Troubles>>;

function createNotices({ root: directory, relistMs: relist_ms, log, now }: Settings): Notices {
  return {
    troubles: createTroubles({
      now,
      onFirst: (reason) => log.warn({ directory, reason }, "discovery is degraded"),
      onOver: () => log.info({ directory }, "discovery works again"),
    }),
    silence: createTroubles({
      now,
      onFirst: (error) =>
        log.warn({ directory, relist_ms, error }, "changes of the discovery directory are not announced, it is listed all the same"),
      onOver: () => log.info({ directory }, "changes of the discovery directory are announced again"),
    }),
  };
}

// A file system that is gone answers nothing at all: whoever waits for it must not wait for ever. The step itself goes on.
async function inTime(step: Promise<unknown>, limitMs: number): Promise<void> {
  if (!(await within(step, limitMs))) throw new Error(`the discovery directory does not answer within ${limitMs / 1000} s`);
}

// Each of them, whatever becomes of the others; those that stay expire.
async function removeAll(paths: readonly string[], { remove }: DirectorySteps): Promise<void> {
  const results = await Promise.allSettled(paths.map((path) => remove(path)));
  const failure = results.find((result) => result.status === "rejected");
  if (failure) throw failure.reason;
}

async function checkDirectory({ root, answerMs, steps }: Settings): Promise<void> {
  const buckets: readonly Bucket[] = ["v1/instances", "v1/mdc"];
  const check = async (): Promise<void> => {
    for (const bucket of buckets) {
      const directory = join(root, bucket);
      if ((await openBucketDirectory(root, directory, steps)) !== undefined) await steps.list(directory);
    }
  };
  try {
    await inTime(check(), answerMs);
  } catch (cause) {
    throw new RuntimeError("unavailable", `the discovery directory ${root} (--file-kv, DYN_FILE_KV) cannot be used: ${messageOf(cause)}`, { cause });
  }
}
