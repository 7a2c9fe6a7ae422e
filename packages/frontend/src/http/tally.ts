/** How many handlers are at work. */
import { createGate } from "@dyn/runtime/internal";

export interface Tally {
  begin(): void;
  end(): void;
  /** Resolves once none is at work. */
  none(): Promise<void>;
}

export function createTally(): Tally {
  const gate = createGate();
  let count = 0;
  return {
    begin() {
      count += 1;
    },
    end() {
      count -= 1;
      if (count === 0) gate.wake();
    },
    none: () => gate.until(() => count === 0),
  };
}
