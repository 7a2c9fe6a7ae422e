/** When a directory is scanned: regularly, because no notice of the system is relied on, and soon after a notice. */

/** Changes announced within this time are one scan, ms. */
const gatherMs = 20;

/** Times are ms. */
export interface RescansOptions {
  /** Longest time between two scans of the whole directory, ms. */
  readonly everyMs: number;
  /** `onSlow` is called for a scan that takes longer, ms. */
  readonly slowMs: number;
  /** Scan the whole directory, or what was announced. Must not reject. */
  readonly scan: (isWhole: boolean) => Promise<void>;
  readonly onSlow: () => void;
}

/** Disposing it stops the timer; a scan that runs goes on. */
export interface Rescans extends Disposable {
  /** Scan the whole directory. */
  now(): void;
  /** One scan for all who ask within 20 ms: of what was announced, or of the whole directory if one of them wants that. */
  soon(isWhole: boolean): void;
}

/** Start the timer. One scan runs at a time; whoever asks during one gets one more. */
export function createRescans({ everyMs, slowMs, scan, onSlow }: RescansOptions): Rescans {
  // Rounds, not time: those in which this process was stopped are not the directory's.
  const slowRounds = Math.ceil(slowMs / everyMs);
  let rounds = 0;
  let isRunning = false;
  let wanted: "whole" | "announced" | undefined;
  let closed = false;
  let gathering: NodeJS.Timeout | undefined;
  let isWholeGathered = false;
  const run = async (): Promise<void> => {
    isRunning = true;
    while (wanted) {
      const isWhole = wanted === "whole";
      wanted = undefined;
      rounds = 0;
      await scan(isWhole);
    }
    isRunning = false;
  };
  const want = (isWhole: boolean): void => {
    if (closed) return;
    if (wanted !== "whole") wanted = isWhole ? "whole" : "announced";
    if (!isRunning) void run();
  };
  const gather = (): void => {
    gathering = undefined;
    want(isWholeGathered);
    isWholeGathered = false;
  };
  const timer = setInterval(() => {
    rounds += 1;
    if (isRunning && rounds === slowRounds) onSlow();
    want(true);
  }, everyMs);
  return {
    now: () => want(true),
    soon(isWhole) {
      if (closed) return;
      isWholeGathered ||= isWhole;
      gathering ??= setTimeout(gather, gatherMs);
    },
    [Symbol.dispose]() {
      closed = true;
      wanted = undefined;
      clearInterval(timer);
      clearTimeout(gathering);
    },
  };
}
