/** The records of this process in a discovery directory: written, kept alive, and withdrawn. */
import { join } from "node:path";
import type { Troubles } from "../condition.ts";
import type { Logger } from "../logging/logger.ts";
import type { Tokens } from "../security/auth.ts";
import { oncePerBucket, type Buckets } from "./buckets.ts";
import { inTime, type DirectorySteps } from "./directory.ts";
import { toClosedError, toUnusableError } from "./discovery.ts";
import { startHeartbeat, type OwnRecord } from "./heartbeat.ts";
import { encodeFileName, toFileText, writeRecord } from "./record-file.ts";
import { bucketOf, recordKey, type Bucket, type DiscoveryRecord } from "./records.ts";

/** What the records share with the discovery they belong to. Times are ms. */
export interface OwnRecordsOptions {
  readonly buckets: Buckets;
  /** Where it is said that a record cannot be kept alive. */
  readonly troubles: Troubles;
  readonly steps: DirectorySteps;
  /** Those that sign. */
  readonly tokens: () => Tokens | undefined;
  /** How often records are touched, ms. */
  readonly heartbeatMs: number;
  /** How long a record may take to be written, ms. */
  readonly answerMs: number;
  /** How long one may take to be withdrawn, ms: after that it expires by itself. */
  readonly withdrawMs: number;
  readonly log: Logger;
  /** Wall clock in ms. */
  readonly now: () => number;
}

/** Disposing it withdraws all records. */
export interface OwnRecords extends AsyncDisposable {
  /** As `Discovery.publish`. */
  publish(record: DiscoveryRecord): Promise<AsyncDisposable>;
}

/** A record as a file. */
interface RecordPlace {
  readonly path: string;
  readonly bucket: Bucket;
}

/** Start the heartbeat; there are no records at first. */
export function createOwnRecords(options: OwnRecordsOptions): OwnRecords {
  const { buckets, answerMs, withdrawMs, tokens } = options;
  const own = new Map<string, OwnRecord>();
  const publishing = new Map<string, RecordPlace & { readonly written: Promise<void> }>();
  const heartbeat = startHeartbeat({ ...options, own, isInHand: (path) => publishing.has(path) });
  let closed = false;

  // At each moment until it is withdrawn, a record is in one of the two maps: whoever closes this removes its file.
  async function add(record: DiscoveryRecord, place: RecordPlace): Promise<void> {
    const { path, bucket } = place;
    const text = toFileText(record, tokens());
    const written = buckets.open(bucket).then(() => writeRecord(path, text));
    publishing.set(path, { ...place, written });
    try {
      await inTime(written, answerMs);
    } catch (cause) {
      throw toUnusableError(`cannot write discovery record ${path}`, cause);
    } finally {
      publishing.delete(path);
    }
    if (closed) throw toClosedError();
    own.set(path, { record, text });
  }

  return {
    async publish(record) {
      if (closed) throw toClosedError();
      const bucket = bucketOf(record);
      const path = join(buckets.pathOf(bucket), encodeFileName(recordKey(record)));
      await add(record, { path, bucket });
      return {
        async [Symbol.asyncDispose]() {
          if (!own.delete(path)) return;
          const withdrawn = heartbeat.forget(path).then(() => removeAll([{ path, bucket }], options));
          await inTime(withdrawn, withdrawMs);
        },
      };
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      heartbeat[Symbol.dispose]();
      const published = Array.from(own, ([path, { record }]) => ({ path, bucket: bucketOf(record) }));
      const places = [...published, ...publishing.values()];
      const written = Array.from(publishing.values(), (publication) => publication.written);
      own.clear();
      const settled = Promise.allSettled([...places.map(({ path }) => heartbeat.forget(path)), ...written]);
      await inTime(
        settled.then(() => removeAll(places, options)),
        withdrawMs,
      );
    },
  };
}

// Each of them, whatever becomes of the others; those that stay expire. None from a directory that has taken the place of ours.
async function removeAll(
  places: readonly RecordPlace[],
  { buckets, steps }: Pick<OwnRecordsOptions, "buckets" | "steps">,
): Promise<void> {
  const findOnce = oncePerBucket((bucket) => buckets.find(bucket));
  const remove = async ({ path, bucket }: RecordPlace): Promise<void> => {
    if ((await findOnce(bucket)) !== undefined) await steps.remove(path);
  };
  const results = await Promise.allSettled(places.map(remove));
  const failure = results.find((result) => result.status === "rejected");
  if (failure) throw failure.reason;
}
