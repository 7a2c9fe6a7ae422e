/** Which instance gets the next attempt. */
import type { Instance } from "../discovery/live-set.ts";

/** @returns undefined when nobody is left. `tried` holds ids that have failed this request. */
export type Pick = (instances: readonly Instance[], tried: ReadonlySet<string>) => Instance | undefined;

/** Everyone in turn. While nobody joins, leaves or fails, counts differ by at most one. */
export function createRoundRobin(): Pick {
  let turn = 0;
  return (instances, tried) => {
    for (let step = 0; step < instances.length; step += 1) {
      const candidate = instances[turn % instances.length];
      turn = (turn + 1) % Number.MAX_SAFE_INTEGER;
      if (candidate && !tried.has(candidate.id)) return candidate;
    }
    return undefined;
  };
}
