/** The records of one bucket, and who hears of which: a change costs those whom it concerns, however many records there are. */
import type { Change, OnChanges } from "./discovery.ts";
import { formatPath, type DiscoveryRecord } from "./records.ts";

type Records = Map<string, DiscoveryRecord>;

export interface RecordTable {
  /** Take over what has changed, and tell it. */
  apply(changes: readonly Change[]): void;
  /** Tell what is there, at once, and then every change. `under`: see `Discovery.watch`. */
  listen(onChanges: OnChanges, under?: string): Disposable;
}

/** Create an empty table. */
export function createRecordTable(): RecordTable {
  const records: Records = new Map();
  const byEndpoint = new Map<string, Records>();
  const audiences = new Map<string, Set<OnChanges>>();

  /** @returns the path of its endpoint, undefined if nothing has changed. */
  function store({ key, record }: Change): string | undefined {
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
  }

  function read(under: string): Change[] {
    const one = records.get(under);
    const found: Iterable<readonly [string, DiscoveryRecord]> = one ? [[under, one]] : under === "" ? records : (byEndpoint.get(under) ?? []);
    return Array.from(found, ([key, record]) => ({ key, record }));
  }

  return {
    apply(changes) {
      const news = new Map<OnChanges, Change[]>();
      for (const change of changes) {
        const path = store(change);
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
    },
    listen(onChanges, under = "") {
      const audience = audiences.get(under) ?? new Set<OnChanges>();
      const hear: OnChanges = (changes) => {
        if (audience.has(hear)) onChanges(changes); // not if whoever heard it first has ended this
      };
      audiences.set(under, audience.add(hear));
      const known = read(under);
      if (known.length > 0) hear(known);
      return {
        [Symbol.dispose]() {
          if (audience.delete(hear) && audience.size === 0) audiences.delete(under);
        },
      };
    },
  };
}
