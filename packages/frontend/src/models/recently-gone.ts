/** Names of models whose last worker has just left: in a rolling restart the next one is about to come. */
import { RecentMap } from "@dyn/runtime/internal";

export interface RecentlyGone {
  add(name: string): void;
  remove(name: string): void;
  /** How long ago it left, ms; undefined if it is not remembered. */
  age(name: string): number | undefined;
}

export interface RecentlyGoneOptions {
  /** How long a name is remembered, ms. Default 30 000. */
  readonly keepMs?: number;
  /** Most names; the one that left first is forgotten for a new one. Default 1 024. */
  readonly maxNames?: number;
  /** Monotonic clock in ms. */
  readonly now: () => number;
}

/** Create an empty memory. */
export function createRecentlyGone({ keepMs = 30_000, maxNames = 1_024, now }: RecentlyGoneOptions): RecentlyGone {
  const leftAt = new RecentMap<string, number>(maxNames);
  return {
    add(name) {
      leftAt.set(name, now());
    },
    remove: (name) => void leftAt.delete(name),
    age(name) {
      const at = leftAt.get(name);
      if (at === undefined) return undefined;
      const age = now() - at;
      if (age <= keepMs) return age;
      leftAt.delete(name);
      return undefined;
    },
  };
}
