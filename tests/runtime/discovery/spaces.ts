// Places for several discoveries to meet: a directory of their own, or memory.
import { readlinkSync } from "node:fs";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Change, Discovery, DiscoveryBackend, Watch } from "../../../packages/runtime/src/discovery/discovery.ts";
import { openFileDiscovery, type FileDiscoveryOptions } from "../../../packages/runtime/src/discovery/file.ts";
import { createMemoryDiscovery, createMemorySpace } from "../../../packages/runtime/src/discovery/memory.ts";
import type {
  Bucket,
  DiscoveryRecord,
  EndpointRecord,
  ModelRecord,
} from "../../../packages/runtime/src/discovery/records.ts";
import { createLogger } from "../../support/logger.ts";
import { createSums } from "../../../packages/runtime/src/logging/sums.ts";
import { eventually } from "../../support/cluster.ts";

/** An endpoint of instance `id`. */
export function record(id: bigint, endpoint = "generate"): EndpointRecord {
  return {
    type: "Endpoint",
    namespace: "dynamo",
    component: "backend",
    endpoint,
    instance_id: id,
    transport: { tcp: `127.0.0.1:4000/${id.toString(16)}/dynamo/backend/${endpoint}` },
    dyn_plane: 1,
  };
}

/** A card of instance `id`. */
export function card(id: bigint): ModelRecord {
  const { namespace, component, endpoint } = record(id);
  const card_json = {
    display_name: "m",
    slug: "m",
    model_type: "Chat",
    model_input: "Text",
    kv_cache_block_size: 16,
    migration_limit: 0,
  } as const;
  return { type: "Model", namespace, component, endpoint, instance_id: id, card_json };
}

/** A watcher that keeps what it hears. */
export interface Follower extends Watch {
  /** What is there, by key. */
  readonly records: ReadonlyMap<string, DiscoveryRecord>;
  /** Each call. */
  readonly heard: readonly (readonly Change[])[];
}

export function follow(discovery: Discovery, bucket: Bucket = "v1/instances", under?: string): Follower {
  const records = new Map<string, DiscoveryRecord>();
  const heard: (readonly Change[])[] = [];
  const hear = (changes: readonly Change[]): void => {
    heard.push(changes);
    for (const { key, record } of changes) {
      if (record) records.set(key, record);
      else records.delete(key);
    }
  };
  return { records, heard, ...discovery.watch(bucket, hear, under) };
}

/** Where discoveries meet. */
export interface Space extends AsyncDisposable {
  open(): Promise<DiscoveryBackend>;
}

export interface FileSpace extends Space {
  readonly root: string;
  /** Lines of everybody in it. */
  readonly lines: Record<string, unknown>[];
  /** Have them told what was only counted so far. */
  readonly tell: () => void;
  open(more?: Partial<FileDiscoveryOptions>): Promise<DiscoveryBackend>;
}

// Time stands still: a record dies only if a test makes it old.
export const startedAt: number = Date.now();
export const ttlMs = 10_000;

export async function fileSpace(): Promise<FileSpace> {
  const directory = await mkdtemp(join(tmpdir(), "dyn-discovery-"));
  const lines: Record<string, unknown>[] = [];
  const sink = (line: Record<string, unknown>): void => void lines.push(line);
  const sums = createSums();
  const log = createLogger({ sink, sums });
  return {
    root: directory,
    lines,
    tell: () => sums[Symbol.dispose](),
    open: (more) =>
      openFileDiscovery({ root: directory, log, heartbeatMs: 20, ttlMs, relistMs: 20, now: () => startedAt, ...more }),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true, maxRetries: 5 }),
  };
}

export async function memorySpace(): Promise<Space> {
  const space = createMemorySpace();
  const log = createLogger({ sink: () => undefined });
  return { open: async () => createMemoryDiscovery(space, log), [Symbol.asyncDispose]: async () => undefined };
}

/** Move `from` to where `to` is, in place of whatever others make there meanwhile. */
export async function replacePath(from: string, to: string): Promise<void> {
  const replace = async (): Promise<boolean> => {
    try {
      await rm(to, { recursive: true, force: true });
      await rename(from, to);
      return true;
    } catch {
      return false; // somebody was quicker
    }
  };
  await eventually(`${from} in place of ${to}`, replace);
}

/** The path by which a step was asked for something, as people name it: steps reach what is in a directory that is held by its number. */
export function namedPath(path: string): string {
  return path.replace(/^\/proc\/self\/fd\/\d+/, (link) => readlinkSync(link)).replace(/\/\.$/, "");
}
