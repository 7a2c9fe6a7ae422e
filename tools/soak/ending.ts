/** When a soak is over: after its time, at a signal, or because it cannot go on. */
import { setTimeout as sleep } from "node:timers/promises";

export interface Ending extends Disposable {
  readonly isOver: boolean;
  /** Why before its time; undefined if it was not. */
  readonly reason: string | undefined;
  readonly elapsedMs: number;
  /** Begin: it is over after so long. */
  start(ms: number): void;
  /** End it now. */
  end(reason: string): void;
  /** Resolves after so long, or when it is over. */
  rest(ms: number): Promise<void>;
}

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** A terminal's Ctrl-C comes twice, from it and from the runner: two at once are one. */
const echoWithinMs = 500;

/** Listen for signals; the time begins with `start`. A second signal ends the process. */
export function createEnding(): Ending {
  const controller = new AbortController();
  let reason: string | undefined;
  let [startedAt, endAt, signalledAt] = [performance.now(), Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  const end = (why: string): void => {
    reason ??= why;
    controller.abort();
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    const at = performance.now();
    if (at > signalledAt + echoWithinMs) process.exit(130);
    if (signalledAt < at) return;
    signalledAt = at;
    console.log(`${signal}: ending, waiting for what was asked; once more ends at once`);
    end(signal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  return {
    get isOver() {
      return controller.signal.aborted || performance.now() >= endAt;
    },
    get reason() {
      return reason;
    },
    get elapsedMs() {
      return performance.now() - startedAt;
    },
    end,
    start(ms) {
      startedAt = performance.now();
      endAt = startedAt + ms;
    },
    async rest(ms) {
      const upTo = Math.max(0, Math.min(ms, endAt - performance.now()));
      await sleep(upTo, undefined, { signal: controller.signal }).catch(() => undefined); // it is over
    },
    [Symbol.dispose]() {
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
}
