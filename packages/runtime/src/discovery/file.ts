/** Discovery in a directory, in Dynamo's layout (runtime storage/kv/file.rs): one file a record, alive while its mtime is fresh. */
import { createTroubles, type Troubles } from "../condition.ts";
import type { Logger } from "../logging/logger.ts";
import type { Tokens } from "../security/auth.ts";
import { openBucketWatch, type BucketWatch } from "./bucket-watch.ts";
import { createBuckets, type Buckets } from "./buckets.ts";
import { directorySteps, inTime, type DirectorySteps } from "./directory.ts";
import { toClosedError, toUnusableError, type DiscoveryBackend } from "./discovery.ts";
import { createOwnRecords } from "./own-records.ts";
import { encodeFileName } from "./record-file.ts";
import type { Bucket } from "./records.ts";

/** Defaults of times are Dynamo's where it has the time, because frontends and workers of both share a directory. */
export interface FileDiscoveryOptions {
  readonly root: string;
  /** Others may write there, too, as on a mount of several machines: whose it is and what its mode is does not count. Default false. */
  readonly isShared?: boolean;
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
  /** Own records are signed with the first of them, and others count only if one of them has signed them. Default: none are set. */
  readonly tokens?: () => Tokens | undefined;
  /** Default: those of the system. */
  readonly steps?: DirectorySteps;
}

type Settings = Required<FileDiscoveryOptions>;

const defaults = {
  isShared: false,
  ttlMs: 10_000,
  heartbeatMs: 3_000,
  relistMs: 500,
  answerMs: 10_000,
  withdrawMs: 2_000,
  now: Date.now,
  tokens: (): undefined => undefined,
  steps: directorySteps,
};

/** Open a discovery directory; it is made if missing. Touches, re-publishes and sweeps until disposed.
 *  @throws RuntimeError `unavailable` if it can be neither made nor read, does not answer, or could be changed by others. */
export async function openFileDiscovery(options: FileDiscoveryOptions): Promise<DiscoveryBackend> {
  const settings: Settings = { ...defaults, ...options };
  const buckets = createBuckets(settings);
  await checkBuckets(buckets, settings);
  const { troubles, silence } = createNotices(settings);
  const own = createOwnRecords({ ...settings, buckets, troubles });
  const watches = new Map<Bucket, BucketWatch>();
  let closed = false;
  return {
    kind: "file",
    get condition() {
      return troubles.condition;
    },
    publish: (record) => own.publish(record),
    watch(bucket, onChanges, under) {
      if (closed) throw toClosedError();
      const onClose = (): void => void watches.delete(bucket);
      const shared =
        watches.get(bucket) ?? openBucketWatch({ ...settings, bucket, buckets, troubles, silence, onClose });
      watches.set(bucket, shared);
      return shared.listen(onChanges, under);
    },
    readBeat: (key) => readBeat(key, buckets, settings),
    async [Symbol.asyncDispose]() {
      closed = true;
      for (const watch of watches.values()) watch[Symbol.dispose]();
      await own[Symbol.asyncDispose]();
    },
  };
}

// The time of a file is its owner's: only that it grows says something.
async function readBeat(key: string, buckets: Buckets, { steps }: Settings): Promise<number | undefined> {
  try {
    await using opened = await buckets.find("v1/instances");
    return (await opened?.at(encodeFileName(key), steps.stat))?.mtimeMs;
  } catch {
    return undefined; // whatever is wrong with the directory is told by those who list it
  }
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
        log.warn(
          { directory, relist_ms, error },
          "changes of the discovery directory are not announced, it is listed all the same",
        ),
      onOver: () => log.info({ directory }, "changes of the discovery directory are announced again"),
    }),
  };
}

async function checkBuckets(buckets: Buckets, { root, answerMs, steps }: Settings): Promise<void> {
  const check = async (): Promise<void> => {
    for (const bucket of ["v1/instances", "v1/mdc"] as const) {
      await using opened = await buckets.tryOpen(bucket);
      await opened?.at(".", steps.list);
    }
  };
  try {
    await inTime(check(), answerMs);
  } catch (cause) {
    throw toUnusableError(`the discovery directory ${root} (--file-kv, DYN_FILE_KV) cannot be used`, cause);
  }
}
