/** The records of one bucket, and who hears of which: a change costs those whom it concerns, however many records there are. */
import type { Change, OnChanges } from "./discovery.ts";
import { formatPath, type DiscoveryRecord } from "./records.ts";

/** Listeners are called synchronously, each change once, in the order in which changes came. */
export interface RecordTable {
  /** Take over what has changed, and tell it. Listeners must not throw. */
  apply(changes: readonly Change[]): void;
  /** Tell what is there, at once, and then every change. `under`: see `Discovery.watch`. */
  listen(onChanges: OnChanges, under?: string): Disposable;
}

/** Create an empty table. */
export function createRecordTable(): RecordTable {
  const records = createRecords();
  const audiences = new Map<string, Set<OnChanges>>();
  /** The first of them is being told. */
  const waiting: (readonly Change[])[] = [];

  function tell(changes: readonly Change[]): void {
    const news = new Map<OnChanges, Change[]>();
    for (const change of changes) {
      const path = records.store(change);
      if (path === undefined) continue;
      for (const under of ["", path, change.key]) {
        for (const hear of audiences.get(under) ?? []) {
          const its = news.get(hear);
          if (its) its.push(change);
          else news.set(hear, [change]);
        }
      }
    }
    for (const [hear, its] of news) hear(its);
  }

  return {
    apply(changes) {
      // Whoever hears of one may make another: that is told when all have heard of the first.
      if (waiting.push(changes) > 1) return;
      for (let next: readonly Change[] | undefined = changes; next; next = waiting[0]) {
        tell(next);
        waiting.shift();
      }
    },
    listen(onChanges, under = "") {
      const audience = audiences.get(under) ?? new Set<OnChanges>();
      const hear: OnChanges = (changes) => {
        if (audience.has(hear)) onChanges(changes); // not if whoever heard it first has ended this
      };
      audiences.set(under, audience.add(hear));
      const known = records.read(under);
      if (known.length > 0) hear(known);
      return {
        [Symbol.dispose]() {
          if (audience.delete(hear) && audience.size === 0) audiences.delete(under);
        },
      };
    },
  };
}

interface Records {
  /** @returns the path of its endpoint, undefined if nothing has changed. */
  store(change: Change): string | undefined;
  read(under: string): Change[];
}

function createRecords(): Records {
  const records = new Map<string, DiscoveryRecord>();
  const byEndpoint = new Map<string, Map<string, DiscoveryRecord>>();
  return {
    store({ key, record }) {
      const known = records.get(key);
      const either = record ?? known;
      if (!either || record === known) return undefined;
      const path = formatPath(either);
      const its = byEndpoint.get(path) ?? new Map<string, DiscoveryRecord>();
      for (const map of [records, its]) {
        if (record) map.set(key, record);
        else map.delete(key);
      }
      if (its.size > 0) byEndpoint.set(path, its);
      else byEndpoint.delete(path);
      return path;
    },
    read(under) {
      const one = records.get(under);
      const found: Iterable<readonly [string, DiscoveryRecord]> = one
        ? [[under, one]]
        : under === ""
          ? records
          : (byEndpoint.get(under) ?? []);
      return Array.from(found, ([key, record]) => ({ key, record }));
    },
  };
}
