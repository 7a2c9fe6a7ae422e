/** How long things live: waiting with a signal, and the process's shutdown signals. */
import { constants } from "node:os";

/** Resolves when `check` first holds; it is asked again at every `wake`. Rejects with the signal's reason. */
export interface Waiters {
  wake(): void;
  until(check: () => boolean, signal?: AbortSignal): Promise<void>;
}

/** Create an empty set of waiters: all of them are checked at every wake, so that none is left behind. */
export function createWaiters(): Waiters {
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

/** What begins a drain. `disconnect`: the parent that keeps a channel to this process (`fork`, or `stdio: "ipc"`) is gone. */
export type ShutdownSignal = NodeJS.Signals | "disconnect";

/** Tests put others in their place. */
export interface SignalOptions {
  /** Default: `process.kill`. */
  readonly kill?: (pid: number, signal: NodeJS.Signals) => unknown;
  /** Default: `process.exit`. */
  readonly exit?: (code: number) => unknown;
}

/** Call `onFirst` at the first of `signals`; a second one ends the process at once, by the signal itself where it can. */
export function watchSignals(
  signals: readonly ShutdownSignal[],
  onFirst: (signal: ShutdownSignal) => void,
  { kill = process.kill.bind(process), exit = process.exit.bind(process) }: SignalOptions = {},
): Disposable {
  let seen = false;
  const begin = (signal: ShutdownSignal): void => {
    if (seen) return;
    seen = true;
    onFirst(signal);
  };
  const onDisconnect = (): void => begin("disconnect");
  const onSignal = (signal: NodeJS.Signals): void => {
    if (!seen) return begin(signal);
    process.removeAllListeners(signal); // whoever else listens would keep the process
    kill(process.pid, signal);
    // The first process of a container comes here: Linux spares it from signals it has no handler for (pid_namespaces(7)).
    exit(128 + constants.signals[signal]);
  };
  const stop = (): void => {
    for (const signal of signals) process.off(signal, signal === "disconnect" ? onDisconnect : onSignal);
  };
  for (const signal of signals) {
    if (signal !== "disconnect") process.on(signal, onSignal);
    else if ("connected" in process && !process.connected) queueMicrotask(onDisconnect);
    else process.on(signal, onDisconnect).channel?.unref(); // the channel itself keeps nobody alive
  }
  return { [Symbol.dispose]: stop };
}

/** Send a message to the parent that keeps a channel to this process; without one, or if it has gone, nothing happens. */
export function tellParent(message: object): void {
  process.send?.(message, undefined, undefined, () => undefined); // that it has gone is known from "disconnect"
}

/** A function that does `work` at its first call; all calls get that result. For ends, which anybody may ask for and which come once. */
export function once<Result>(work: () => Result): () => Result {
  let done: { readonly result: Result } | undefined;
  return () => (done ??= { result: work() }).result;
}

/** Call `onOver` after `ms`, unless it is disposed before. What has arrived by then is read first, because a process that was busy finds its timers due before it looks at its
 *  sockets. It keeps no process alive. */
export function startTimeLimit(ms: number, onOver: () => void): Disposable {
  let last: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => (last = setImmediate(onOver)), ms).unref();
  return {
    [Symbol.dispose]() {
      clearTimeout(timer);
      clearImmediate(last);
    },
  };
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
