/** Discovery inside one process: runtimes that share a space see each other. */
import type { Logger } from "../logging/logger.ts";
import { deliver, toClosedError, type DiscoveryBackend } from "./discovery.ts";
import { createRecordTable, type RecordTable } from "./record-table.ts";
import { bucketOf, recordKey, type Bucket, type DiscoveryRecord } from "./records.ts";

/** What runtimes must share to see each other. */
export interface MemorySpace {
  readonly tables: Readonly<Record<Bucket, RecordTable>>;
}

/** Create an empty space; it lives as long as somebody holds it. */
export function createMemorySpace(): MemorySpace {
  return { tables: { "v1/instances": createRecordTable(), "v1/mdc": createRecordTable() } };
}

/** Create a view of `space`; its own records go when it is disposed. */
export function createMemoryDiscovery({ tables }: MemorySpace, log: Logger): DiscoveryBackend {
  const own = new Set<AsyncDisposable>();
  let closed = false;
  return {
    kind: "mem",
    condition: { state: "listing" },
    async publish(record: DiscoveryRecord) {
      if (closed) throw toClosedError();
      const table = tables[bucketOf(record)];
      const key = recordKey(record);
      const registration: AsyncDisposable = {
        async [Symbol.asyncDispose]() {
          if (own.delete(registration)) table.apply([{ key, record: undefined }]);
        },
      };
      own.add(registration);
      table.apply([{ key, record }]);
      return registration;
    },
    watch(bucket, onChanges, under) {
      if (closed) throw toClosedError();
      return {
        ready: Promise.resolve(),
        ...tables[bucket].listen((changes) => deliver(onChanges, changes, log), under),
      };
    },
    readBeat: () => Promise.resolve(undefined), // it is this very process
    async [Symbol.asyncDispose]() {
      closed = true;
      for (const registration of own) await registration[Symbol.asyncDispose]();
    },
  };
}
