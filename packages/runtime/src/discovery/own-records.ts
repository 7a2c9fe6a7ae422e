/** The records of this process in a discovery directory: written, kept alive, and withdrawn. */
import { basename, join } from "node:path";
import { within } from "../lifetime.ts";
import { openOnce, type Buckets } from "./buckets.ts";
import { inTime, type DirectorySteps } from "./directory.ts";
import { toClosedError, toUnusableError } from "./discovery.ts";
import { startHeartbeat, writeOwn, type HeartbeatOptions, type OwnRecord } from "./heartbeat.ts";
import { createPulse, type Pulse } from "./pulse.ts";
import { encodeFileName, toFileText } from "./record-file.ts";
import { bucketOf, recordKey, type Bucket, type DiscoveryRecord } from "./records.ts";

/** What the records share with the discovery they belong to. Times are ms. */
export interface OwnRecordsOptions extends Omit<HeartbeatOptions, "own" | "isInHand" | "pulse"> {
  readonly steps: Pick<DirectorySteps, "remove">;
  /** How long one may take to be withdrawn, ms: after that it expires by itself. */
  readonly withdrawMs: number;
}

/** Disposing it withdraws all records. */
export interface OwnRecords extends AsyncDisposable {
  /** As `Discovery.publish`. */
  publish(record: DiscoveryRecord): Promise<AsyncDisposable>;
}

/** A record as a file. */
interface RecordFile {
  readonly path: string;
  readonly bucket: Bucket;
}

/** Start the heartbeat; there are no records at first. */
export function createOwnRecords(options: OwnRecordsOptions): OwnRecords {
  const { buckets, answerMs, withdrawMs, tokens } = options;
  const own = new Map<string, OwnRecord>();
  const publishing = new Map<string, RecordFile & { readonly written: Promise<void> }>();
  const pulse = createPulse(options.log);
  const heartbeat = startHeartbeat({ ...options, own, pulse, isInHand: (path) => publishing.has(path) });
  let closed = false;

  // At each moment until it is withdrawn, a record is in one of the two maps: whoever closes this removes its file.
  async function add(record: DiscoveryRecord, file: RecordFile): Promise<void> {
    const { path } = file;
    const text = toFileText(record, tokens());
    const written = write(file, text, buckets, pulse);
    publishing.set(path, { ...file, written });
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
      const ended = pulse[Symbol.asyncDispose]();
      const published = Array.from(own, ([path, { record }]) => ({ path, bucket: bucketOf(record) }));
      const files = [...published, ...publishing.values()];
      const written = Array.from(publishing.values(), (publication) => publication.written);
      own.clear();
      const settled = Promise.allSettled([...files.map(({ path }) => heartbeat.forget(path)), ...written]);
      await inTime(
        settled.then(() => removeAll(files, options)),
        withdrawMs,
      );
      await within(ended, withdrawMs); // a file system that does not answer may hold the thread
    },
  };
}

async function write({ path, bucket }: RecordFile, text: string, buckets: Buckets, pulse: Pulse): Promise<void> {
  await using directory = await buckets.open(bucket);
  await directory.at(basename(path), (at) => writeOwn({ at, path, text, pulse }));
}

// Each of them, whatever becomes of the others; those that stay expire. None from a directory that has taken the place of ours.
async function removeAll(
  files: readonly RecordFile[],
  { buckets, steps }: Pick<OwnRecordsOptions, "buckets" | "steps">,
): Promise<void> {
  await using opened = openOnce((bucket) => buckets.find(bucket));
  const remove = async ({ path, bucket }: RecordFile): Promise<void> => {
    const directory = await opened.get(bucket);
    await directory?.at(basename(path), steps.remove);
  };
  const results = await Promise.allSettled(files.map(remove));
  const failure = results.find((result) => result.status === "rejected");
  if (failure) throw failure.reason;
}
