/** The instances that have said that they leave, and who wants to hear of those that come and go. */
import type { InstanceStatuses } from "../discovery/instance-status.ts";
import { RecentSet } from "../recent.ts";

/** Instances that have said GOAWAY and are remembered once their connection is over. */
const maxGone = 1_024;

/** Which instances have left, for whoever keeps one whose record is gone. */
export interface RecentlyGone {
  /** True for an instance that has said GOAWAY: its key is one life of a process, so it does not come back. */
  has(key: string): boolean;
  /** It takes no more requests, or (false) none for one of its endpoints. */
  leave(key: string, isGoingAway: boolean): void;
  /** The connection to it is over. */
  notify(key: string): void;
  onChange: InstanceStatuses["onChange"];
}

/** Create it, empty and without listeners. */
export function createRecentlyGone(): RecentlyGone {
  const gone = new RecentSet<string>(maxGone);
  const listeners = new Map<string, Set<() => void>>();
  const notify = (key: string): void => {
    for (const listener of listeners.get(key) ?? []) listener();
  };
  return {
    has: (key) => gone.has(key),
    leave(key, isGoingAway) {
      if (isGoingAway) gone.add(key);
      notify(key);
    },
    notify,
    onChange(key, listener) {
      const its = listeners.get(key) ?? new Set();
      listeners.set(key, its.add(listener));
      return {
        [Symbol.dispose]() {
          if (its.delete(listener) && its.size === 0) listeners.delete(key);
        },
      };
    },
  };
}
