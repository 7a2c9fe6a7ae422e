/** Discovery in a directory, in Dynamo's layout (runtime storage/kv/file.rs): one file a record, alive while its mtime is fresh. */
import { randomBytes } from "node:crypto";
import { watch as watchDirectory, type FSWatcher } from "node:fs";
import { link, mkdir, readdir, readFile, rename, rm, stat, unlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "../logging/logger.ts";
import type { Discovery, Snapshot, Watch } from "./discovery.ts";
import { bucketOf, formatRecord, parseRecord, recordKey, type Bucket, type DiscoveryRecord } from "./records.ts";

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

const temporaryPrefix = ".tmp_";

/** Percent-encode every byte that is not A-Z a-z 0-9, as Dynamo does (`encodeURIComponent` leaves more). */
export function encodeFileName(key: string): string {
  return [...Buffer.from(key)]
    .map((byte) => {
      const char = String.fromCharCode(byte);
      return /[A-Za-z0-9]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    })
    .join("");
}

/** @returns undefined for a name that is not valid percent-encoding. */
export function decodeFileName(name: string): string | undefined {
  try {
    return decodeURIComponent(name);
  } catch {
    return undefined; // foreign file: not a record
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

/** Open a discovery directory; it is made if missing. Touches, re-publishes and sweeps until disposed. */
export function openFileDiscovery(options: FileDiscoveryOptions): Discovery {
  const settings: Settings = { ttlMs: 10_000, heartbeatMs: 3_000, relistMs: 500, now: Date.now, ...options };
  const own = new Map<string, DiscoveryRecord>();
  const watches = new Set<Watch>();
  let beating = Promise.resolve();
  const beat = async (): Promise<void> => {
    for (const [path, record] of own) await keepAlive(path, record, settings);
  };
  const timer = setInterval(() => {
    beating = beating.then(beat).catch((error: unknown) => settings.log.warn({ error }, "discovery heartbeat failed"));
  }, settings.heartbeatMs);
  return {
    kind: "file",
    async publish(record) {
      const path = join(settings.root, bucketOf(record), encodeFileName(recordKey(record)));
      await writeRecord(path, record);
      own.set(path, record);
      return {
        async [Symbol.asyncDispose]() {
          if (!own.delete(path)) return;
          await beating; // a heartbeat under way must not write the record again
          await rm(path, { force: true });
        },
      };
    },
    watch(bucket, onSnapshot) {
      const watch = openBucketWatch(bucket, onSnapshot, settings, () => watches.delete(watch));
      watches.add(watch);
      return watch;
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      for (const watch of watches) watch[Symbol.dispose]();
      const paths = [...own.keys()];
      own.clear();
      await beating;
      for (const path of paths) await rm(path, { force: true });
    },
  };
}

// tmp + link: readers see the whole record or none. Rewriting in place would be missed by Dynamo's watcher.
async function writeRecord(path: string, record: DiscoveryRecord): Promise<void> {
  const directory = join(path, "..");
  await mkdir(directory, { recursive: true });
  const temporary = join(directory, `${temporaryPrefix}${randomBytes(8).toString("hex")}`);
  await writeFile(temporary, formatRecord(record), { flag: "wx" });
  try {
    await link(temporary, path);
    await unlink(temporary);
  } catch {
    await rename(temporary, path); // it is there already, or this file system has no links
  }
}

async function keepAlive(path: string, record: DiscoveryRecord, { log, now }: Settings): Promise<void> {
  const seconds = now() / 1000;
  try {
    await utimes(path, seconds, seconds);
  } catch (error) {
    if (!isMissing(error)) throw error;
    await writeRecord(path, record);
    log.warn({ key: recordKey(record) }, "discovery record was gone and has been published again");
  }
}

function openBucketWatch(bucket: Bucket, onSnapshot: (snapshot: Snapshot) => void, settings: Settings, onClose: () => void): Watch {
  const directory = join(settings.root, bucket);
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  let known: ReadonlyMap<string, KnownFile> = new Map();
  let delivered = false;
  let closed = false;
  let running = false;
  let again = false;
  let watcher: FSWatcher | undefined;

  const list = async (): Promise<void> => {
    await mkdir(directory, { recursive: true });
    watcher ??= announceChanges(directory, look, () => (watcher = undefined));
    const next = await listRecords(directory, known, settings);
    const changed = !delivered || next.size !== known.size || [...next].some(([name, file]) => known.get(name)?.record !== file.record);
    known = next;
    if (closed || !changed) return;
    delivered = true;
    onSnapshot(new Map([...next.values()].map(({ record }) => [recordKey(record), record])));
    resolve();
  };
  // One listing at a time; a change announced meanwhile asks for one more.
  const run = async (): Promise<void> => {
    running = true;
    do {
      again = false;
      await list().catch((error: unknown) => settings.log.warn({ bucket, error }, "discovery directory cannot be listed"));
    } while (again);
    running = false;
  };
  function look(): void {
    if (closed) return;
    if (running) again = true;
    else void run();
  }
  const timer = setInterval(look, settings.relistMs);
  look();
  return {
    ready,
    [Symbol.dispose]() {
      closed = true;
      clearInterval(timer);
      watcher?.close();
      onClose();
    },
  };
}

// The announcement only makes joining fast; the regular listing is what is relied on.
function announceChanges(directory: string, onChange: () => void, onLost: () => void): FSWatcher {
  const watcher = watchDirectory(directory, { persistent: false }, onChange);
  watcher.on("error", () => {
    watcher.close();
    onLost();
  });
  return watcher;
}

interface KnownFile {
  readonly record: DiscoveryRecord;
  readonly version: string;
}

async function listRecords(directory: string, known: ReadonlyMap<string, KnownFile>, settings: Settings): Promise<Map<string, KnownFile>> {
  const live = new Map<string, KnownFile>();
  for (const name of await readdir(directory)) {
    if (name.startsWith(".")) {
      if (name.startsWith(temporaryPrefix)) await sweepTemporary(join(directory, name), settings);
      continue;
    }
    const file = await readRecord(directory, name, known.get(name), settings);
    if (file) live.set(name, file);
  }
  return live;
}

// A writer that was killed between writing and linking leaves its file behind.
async function sweepTemporary(path: string, { now, ttlMs }: Settings): Promise<void> {
  try {
    if (now() - (await stat(path)).mtimeMs > ttlMs) await rm(path, { force: true });
  } catch (error) {
    if (!isMissing(error)) throw error; // its writer has renamed it meanwhile
  }
}

async function readRecord(directory: string, name: string, before: KnownFile | undefined, settings: Settings): Promise<KnownFile | undefined> {
  const path = join(directory, name);
  try {
    const found = await stat(path);
    if (!found.isFile()) return undefined;
    if (settings.now() - found.mtimeMs > settings.ttlMs) {
      await rm(path, { force: true }); // its owner is dead: whoever notices sweeps, as in Dynamo
      settings.log.info({ key: decodeFileName(name) ?? name }, "expired discovery record removed");
      return undefined;
    }
    const version = `${found.ino}:${found.size}`;
    if (before?.version === version) return before;
    const record = parseRecord(await readFile(path, "utf8"));
    // Removal is known by the name alone, so name and content must agree.
    if (recordKey(record) !== decodeFileName(name)) throw new Error(`its content belongs to key ${recordKey(record)}`);
    return { record, version };
  } catch (error) {
    if (!isMissing(error)) settings.log.debug({ path, error }, "discovery record ignored");
    return undefined;
  }
}
