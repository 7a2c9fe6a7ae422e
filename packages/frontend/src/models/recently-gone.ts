/** Names of models whose last worker has just left: in a rolling restart the next one is about to come. */

export interface Departed {
  add(name: string): void;
  remove(name: string): void;
  /** How long ago it left, ms; undefined if it is not remembered. */
  age(name: string): number | undefined;
}

export interface DepartedOptions {
  /** How long a name is remembered, ms. Default 30 000. */
  readonly keepMs?: number;
  /** Most names; the one that left first is forgotten for a new one. Default 1 024. */
  readonly maxNames?: number;
  /** Monotonic clock in ms. */
  readonly now: () => number;
}

/** Create an empty memory. */
export function createDeparted({ keepMs = 30_000, maxNames = 1_024, now }: DepartedOptions): Departed {
  const leftAt = new Map<string, number>(); // the first to leave comes first
  return {
    add(name) {
      leftAt.delete(name);
      leftAt.set(name, now());
      const [oldest] = leftAt.keys();
      if (leftAt.size > maxNames && oldest !== undefined) leftAt.delete(oldest);
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
