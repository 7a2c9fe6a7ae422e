/** When an instance may be dialled again: one that hangs up on each connection must not be dialled as fast as it does so. */
import { RecentMap } from "../recent.ts";
import { backoffMs } from "./retry.ts";

/** Instances go by their keys. */
export interface Redial {
  /** Time until it may be dialled, ms; 0 = now. */
  waitMs(key: string): number;
  /** It could not be dialled, or its connection was over before it was of use. */
  failed(key: string): void;
  /** A connection to it was of use. */
  succeeded(key: string): void;
}

/** Clock and chance, which tests give. */
export interface RedialOptions {
  /** Monotonic clock, ms. */
  readonly now: () => number;
  /** From 0 to below 1, for the jitter of waits. */
  readonly random: () => number;
}

/** No longer than an unreachable instance is left alone: its next probe is to dial. */
const waits = { firstMs: 50, longestMs: 1_000 } as const;
/** Instances that are remembered. */
const maxKnown = 1_024;

/** Create an empty record. The first failure costs no wait: a connection may be lost at any time. */
export function createRedial({ now, random }: RedialOptions): Redial {
  const known = new RecentMap<string, { readonly failures: number; readonly until: number }>(maxKnown);
  return {
    waitMs: (key) => Math.max(0, (known.get(key)?.until ?? 0) - now()),
    failed(key) {
      const failures = (known.get(key)?.failures ?? 0) + 1;
      known.set(key, { failures, until: now() + backoffMs(failures - 1, random, waits) });
    },
    succeeded: (key) => void known.delete(key),
  };
}
