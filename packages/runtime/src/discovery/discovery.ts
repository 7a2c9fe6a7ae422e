/** The contract of a discovery backend: who exists. */
import type { Condition } from "../condition.ts";
import { RuntimeError } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";
import type { Bucket, DiscoveryRecord } from "./records.ts";

/** A record that is new or takes the place of another, or one that has gone. */
export interface Change {
  /** `namespace/component/endpoint/{instance id in hex}` */
  readonly key: string;
  /** Undefined: it has gone. */
  readonly record: DiscoveryRecord | undefined;
}

/** Hears what has changed, at least one change a call; what was found together is told together. */
export type OnChanges = (changes: readonly Change[]) => void;

/** One listener. Disposing it ends its calls at once. */
export interface Watch extends Disposable {
  /** Resolves after what was there at the start has been told. */
  readonly ready: Promise<void>;
}

/** What users of a backend may do. It belongs to its runtime, which closes it. */
export interface Discovery {
  readonly kind: "file" | "mem";
  /** Whether it can look, and keep its own records alive. */
  readonly condition: Condition;
  /** Publish a record and keep it alive until disposed. Visible to every watcher as a whole or not at all. @throws RuntimeError `unavailable` once the runtime closes. */
  publish(record: DiscoveryRecord): Promise<AsyncDisposable>;
  /** Hear of all records that are there, and then of every change. `under` narrows that to one endpoint, `namespace/component/endpoint`, or to the record of one key:
   *  whoever hears only of what concerns it costs nothing when others come and go. @throws RuntimeError `unavailable` once the runtime closes. */
  watch(bucket: Bucket, onChanges: OnChanges, under?: string): Watch;
}

/** A backend: disposing it withdraws its own records. tests/runtime/discovery holds one test of this contract, which every backend passes. */
export interface DiscoveryBackend extends Discovery, AsyncDisposable {
  /** A number that grows as long as the process lives whose endpoint has this key; undefined if nothing tells. Never rejects. */
  readBeat(key: string): Promise<number | undefined>;
}

/** What a disposed discovery answers. */
export function toClosedError(): RuntimeError {
  return new RuntimeError("unavailable", "this discovery is closed");
}

/** What a backend that cannot work answers. `what` begins the sentence. */
export function toUnusableError(what: string, cause: unknown): RuntimeError {
  return new RuntimeError("unavailable", `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
    publicMessage: "discovery cannot be used",
  });
}

/** Tell one listener. The others hear it all the same. */
export function deliver(onChanges: OnChanges, changes: readonly Change[], log: Logger): void {
  try {
    onChanges(changes);
  } catch (error) {
    log.error({ error }, "listener of discovery failed");
  }
}
