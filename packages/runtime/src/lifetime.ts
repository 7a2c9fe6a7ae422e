/** How long things live: waiting with a signal, and the process's shutdown signals. */

/** Resolves when `check` first holds; it is asked again at every `wake`. Rejects with the signal's reason. */
export interface Gate {
  wake(): void;
  until(check: () => boolean, signal?: AbortSignal): Promise<void>;
}

/** Create a gate: waiters are re-checked on every wake, none is left behind. */
export function createGate(): Gate {
  const waiters = new Set<() => void>();
  return {
    wake() {
      for (const check of waiters) check();
    },
    async until(check, signal) {
      signal?.throwIfAborted();
      if (check()) return;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const look = (): void => {
        if (check()) resolve();
      };
      const abort = (): void => reject(signal?.reason);
      waiters.add(look);
      signal?.addEventListener("abort", abort, { once: true });
      try {
        await promise;
      } finally {
        waiters.delete(look);
        signal?.removeEventListener("abort", abort);
      }
    },
  };
}

/** Call `onFirst` at the first of `signals`; a second one ends the process at once, by the signal itself. */
export function watchSignals(signals: readonly NodeJS.Signals[], onFirst: (signal: NodeJS.Signals) => void): Disposable {
  let seen = false;
  const listener = (signal: NodeJS.Signals): void => {
    if (!seen) {
      seen = true;
      onFirst(signal);
      return;
    }
    stop();
    process.kill(process.pid, signal);
  };
  const stop = (): void => {
    for (const signal of signals) process.off(signal, listener);
  };
  for (const signal of signals) process.on(signal, listener);
  return { [Symbol.dispose]: stop };
}

/** Wait for `work` at most `limitMs`. @returns false if time ran out first (the work goes on). */
export async function within(work: Promise<unknown>, limitMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs);
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The result of `work`, or the signal's reason if that comes first (the work goes on; whoever began it owns it). */
export async function orAborted<Result>(work: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (!signal) return work;
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** Resolves after `ms`, at once for 0; rejects with the signal's reason if that comes first. */
export async function waitMs(ms: number, signal: AbortSignal | undefined): Promise<void> {
  if (ms <= 0) return;
  let timer: NodeJS.Timeout | undefined;
  const time = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await orAborted(time, signal);
  } finally {
    clearTimeout(timer);
  }
}
