/** Discovery inside one process: runtimes that share a space see each other. */
import type { Logger } from "../logging/logger.ts";
import { deliver, toClosedError, type Discovery, type OnSnapshot } from "./discovery.ts";
import { bucketOf, recordKey, type Bucket, type DiscoveryRecord } from "./records.ts";

/** What runtimes must share to see each other. */
export interface MemorySpace {
  readonly records: Map<Bucket, Map<string, DiscoveryRecord>>;
  readonly listeners: Map<Bucket, Set<OnSnapshot>>;
}

export function createMemorySpace(): MemorySpace {
  return { records: new Map(), listeners: new Map() };
}

/** Create a view of `space`; its own records go when it is disposed. */
export function createMemoryDiscovery(space: MemorySpace, log: Logger): Discovery {
  const own = new Set<AsyncDisposable>();
  let closed = false;
  const notify = (bucket: Bucket): void => {
    const snapshot = new Map(space.records.get(bucket));
    for (const listener of space.listeners.get(bucket) ?? []) deliver(listener, snapshot, log);
  };
  return {
    kind: "mem",
    condition: { state: "listing" },
    async publish(record) {
      if (closed) throw toClosedError();
      const bucket = bucketOf(record);
      const records = space.records.get(bucket) ?? new Map<string, DiscoveryRecord>();
      space.records.set(bucket, records.set(recordKey(record), record));
      const registration: AsyncDisposable = {
        async [Symbol.asyncDispose]() {
          if (own.delete(registration) && records.delete(recordKey(record))) notify(bucket);
        },
      };
      own.add(registration);
      notify(bucket);
      return registration;
    },
    watch(bucket, onSnapshot) {
      if (closed) throw toClosedError();
      const listeners = space.listeners.get(bucket) ?? new Set();
      space.listeners.set(bucket, listeners.add(onSnapshot));
      deliver(onSnapshot, new Map(space.records.get(bucket)), log);
      return { ready: Promise.resolve(), [Symbol.dispose]: () => void listeners.delete(onSnapshot) };
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      for (const registration of own) await registration[Symbol.asyncDispose]();
    },
  };
}
