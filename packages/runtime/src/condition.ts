/** What does not work at the moment, and since when: for /health, for a metric, and for one line when it begins and one when it is over. */

/** How discovery is. `/health` shows it as it is. */
export type Condition =
  | { readonly state: "listing" }
  | {
      readonly state: "degraded";
      /** The step that fails, and how. */
      readonly reason: string;
      /** RFC 3339. */
      readonly since: string;
    };

/** What fails at the moment, by where it fails. The owner writes the lines, once when it begins and once when all is over. */
export interface Troubles {
  /** The reason is of whoever met it first, the time of the first of all. */
  readonly condition: Condition;
  /** `source` meets one, or its reason is another one now. */
  begin(source: string, reason: string): void;
  /** It works for `source`. */
  end(source: string): void;
  /** `source` does not try any more. Nothing is said. */
  forget(source: string): void;
}

/** Both calls are synchronous, and must not throw. */
export interface TroublesOptions {
  /** Wall clock in ms. */
  readonly now: () => number;
  readonly onFirst: (reason: string) => void;
  readonly onOver: () => void;
}

/** Create it, without any. */
export function createTroubles({ now, onFirst, onOver }: TroublesOptions): Troubles {
  const reasons = new Map<string, string>();
  let since = "";
  return {
    get condition(): Condition {
      const [reason] = reasons.values();
      return reason === undefined ? { state: "listing" } : { state: "degraded", reason, since };
    },
    begin(source, reason) {
      const isFirst = reasons.size === 0;
      reasons.set(source, reason);
      if (!isFirst) return;
      since = new Date(now()).toISOString();
      onFirst(reason);
    },
    end(source) {
      if (reasons.delete(source) && reasons.size === 0) onOver();
    },
    forget: (source) => void reasons.delete(source),
  };
}
