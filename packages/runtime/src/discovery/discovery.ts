/** The contract of a discovery backend: who exists. */
import type { Condition } from "../condition.ts";
import { RuntimeError } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";
import type { Bucket, DiscoveryRecord } from "./records.ts";

/** All live records of a bucket by key. A new map at every change. */
export type Snapshot = ReadonlyMap<string, DiscoveryRecord>;

export type OnSnapshot = (snapshot: Snapshot) => void;

export interface Watch extends Disposable {
  /** Resolves after the first snapshot has been delivered. */
  readonly ready: Promise<void>;
}

export interface Discovery extends AsyncDisposable {
  readonly kind: "file" | "mem";
  /** Whether it can look, and keep its own records alive. */
  readonly condition: Condition;
  /** Publish a record and keep it alive until disposed. Visible to every watcher as a whole or not at all. @throws RuntimeError `unavailable` once this is disposed. */
  publish(record: DiscoveryRecord): Promise<AsyncDisposable>;
  /** Hear the whole bucket now and at every change. @throws RuntimeError `unavailable` once this is disposed. */
  watch(bucket: Bucket, onSnapshot: OnSnapshot): Watch;
}

/** What a disposed discovery answers. */
export function toClosedError(): RuntimeError {
  return new RuntimeError("unavailable", "this discovery is closed");
}

/** Tell one listener. The others hear it all the same. */
export function deliver(onSnapshot: OnSnapshot, snapshot: Snapshot, log: Logger): void {
  try {
    onSnapshot(snapshot);
  } catch (error) {
    log.error({ error }, "listener of discovery failed");
  }
}
