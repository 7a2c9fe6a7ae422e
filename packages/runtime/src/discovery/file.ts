/** Discovery in a directory, in Dynamo's layout (runtime storage/kv/file.rs): one file a record, alive while its mtime is fresh. */
import { join } from "node:path";
import { createTroubles, type Troubles } from "../condition.ts";
import { RuntimeError } from "../errors.ts";
import { within } from "../lifetime.ts";
import type { Logger } from "../logging/logger.ts";
import type { Tokens } from "../security/auth.ts";
import { openBucketWatch, type BucketWatch } from "./bucket-watch.ts";
import { createBuckets, oncePerBucket, type Buckets } from "./buckets.ts";
import { directorySteps, messageOf, type DirectorySteps } from "./directory.ts";
import { toClosedError, type Discovery } from "./discovery.ts";
import { startHeartbeat, type OwnRecord } from "./heartbeat.ts";
import { encodeFileName, toFileText, writeRecord } from "./record-file.ts";
import { bucketOf, recordKey, type Bucket } from "./records.ts";

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
export async function openFileDiscovery(options: FileDiscoveryOptions): Promise<Discovery> {
  const settings: Settings = { ...defaults, ...options };
  const { answerMs, withdrawMs, tokens } = settings;
  const buckets = createBuckets(settings);
  await checkBuckets(buckets, settings);
  const { troubles, silence } = createNotices(settings);
  const own = new Map<string, OwnRecord>();
  const watches = new Map<Bucket, BucketWatch>();
  const publishing = new Map<string, Placed & { readonly written: Promise<void> }>();
  const heartbeat = startHeartbeat({ ...settings, buckets, own, troubles, isInHand: (path) => publishing.has(path) });
  let closed = false;
  return {
    kind: "file",
    get condition() {
      return troubles.condition;
    },
    async publish(record) {
      if (closed) throw toClosedError();
      const bucket = bucketOf(record);
      const path = join(buckets.pathOf(bucket), encodeFileName(recordKey(record)));
      const text = toFileText(record, tokens());
      const written = buckets.open(bucket).then(() => writeRecord(path, text));
      publishing.set(path, { path, bucket, written });
      try {
        await inTime(written, answerMs);
      } catch (cause) {
        throw toUnusable(`cannot write discovery record ${path}`, cause);
      } finally {
        publishing.delete(path);
      }
      if (closed) throw toClosedError(); // whoever closed it removes the file
      own.set(path, { record, text });
      return {
        async [Symbol.asyncDispose]() {
          if (!own.delete(path)) return;
          const withdrawn = heartbeat.forget(path).then(() => removeAll([{ path, bucket }], buckets, settings));
          await inTime(withdrawn, withdrawMs);
        },
      };
    },
    watch(bucket, onChanges, under) {
      if (closed) throw toClosedError();
      const onClose = (): void => void watches.delete(bucket);
      const shared =
        watches.get(bucket) ?? openBucketWatch({ ...settings, bucket, buckets, troubles, silence, onClose });
      watches.set(bucket, shared);
      return shared.listen(onChanges, under);
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      heartbeat[Symbol.dispose]();
      for (const watch of watches.values()) watch[Symbol.dispose]();
      const placed = [
        ...Array.from(own, ([path, { record }]) => ({ path, bucket: bucketOf(record) })),
        ...publishing.values(),
      ];
      const written = Array.from(publishing.values(), (publication) => publication.written);
      own.clear();
      const settled = Promise.allSettled([...placed.map(({ path }) => heartbeat.forget(path)), ...written]);
      const withdrawn = settled.then(() => removeAll(placed, buckets, settings));
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
        log.warn(
          { directory, relist_ms, error },
          "changes of the discovery directory are not announced, it is listed all the same",
        ),
      onOver: () => log.info({ directory }, "changes of the discovery directory are announced again"),
    }),
  };
}

// A file system that is gone answers nothing at all: whoever waits for it must not wait for ever. The step itself goes on.
async function inTime(step: Promise<unknown>, limitMs: number): Promise<void> {
  if (!(await within(step, limitMs)))
    throw new Error(`the discovery directory does not answer within ${limitMs / 1000} s`);
}

interface Placed {
  readonly path: string;
  readonly bucket: Bucket;
}

// Each of them, whatever becomes of the others; those that stay expire. None from a directory that has taken the place of ours.
async function removeAll(placed: readonly Placed[], buckets: Buckets, { steps }: Settings): Promise<void> {
  const findOnce = oncePerBucket((bucket) => buckets.find(bucket));
  const remove = async ({ path, bucket }: Placed): Promise<void> => {
    if ((await findOnce(bucket)) !== undefined) await steps.remove(path);
  };
  const results = await Promise.allSettled(placed.map(remove));
  const failure = results.find((result) => result.status === "rejected");
  if (failure) throw failure.reason;
}

async function checkBuckets(buckets: Buckets, { root, answerMs, steps }: Settings): Promise<void> {
  const check = async (): Promise<void> => {
    for (const bucket of ["v1/instances", "v1/mdc"] as const)
      if ((await buckets.tryOpen(bucket)) !== undefined) await steps.list(buckets.pathOf(bucket));
  };
  try {
    await inTime(check(), answerMs);
  } catch (cause) {
    throw toUnusable(`the discovery directory ${root} (--file-kv, DYN_FILE_KV) cannot be used`, cause);
  }
}

function toUnusable(what: string, cause: unknown): RuntimeError {
  return new RuntimeError("unavailable", `${what}: ${messageOf(cause)}`, {
    cause,
    publicMessage: "discovery cannot be used",
  });
}
