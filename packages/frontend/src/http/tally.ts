/** How many handlers are at work. */
import { createWaiters } from "@dyn/runtime/internal";

export interface Tally {
  begin(): void;
  end(): void;
  /** Resolves once none is at work. */
  none(): Promise<void>;
}

export function createTally(): Tally {
  const waiters = createWaiters();
  let count = 0;
  return {
    begin() {
      count += 1;
    },
    end() {
      count -= 1;
      if (count === 0) waiters.wake();
    },
    none: () => waiters.until(() => count === 0),
  };
}
