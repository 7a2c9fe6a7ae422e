/** Takes lines of pino's and writes them to standard error without ever waiting for its reader: lines of a tick leave together, a bounded number of bytes may wait. */
import { once, within } from "../lifetime.ts";
import { createTimeFormat, formatJsonLine, formatReadable } from "./format.ts";
import { openStandardError, type LogOutput } from "./output.ts";

export interface LogWriter extends Disposable {
  /** A line as `createPino` has made it. */
  write(line: string): void;
  /** Resolves once everything accepted so far has left, cannot leave, or `limitMs` have passed. */
  flush(limitMs: number): Promise<void>;
}

export interface LogWriterOptions {
  readonly jsonl: boolean;
  /** Default: standard error. */
  readonly output?: LogOutput;
  /** Most bytes that may wait for a slow reader, default 16 MiB; further lines are dropped and counted. */
  readonly maxQueuedBytes?: number;
  /** Unix time in ms with a fraction. */
  readonly now: () => number;
  /** Called when the process exits: what it writes still leaves. */
  readonly onExit?: () => void;
}

/** Open the writer of a process. Lines that were lost are announced in band by `log lines dropped` once there is room again. */
export function openLogWriter(options: LogWriterOptions): LogWriter {
  const { jsonl, output = openStandardError(), maxQueuedBytes = 16 * 1024 * 1024, now, onExit } = options;
  const formatTime = createTimeFormat();
  const format = jsonl ? formatJsonLine : formatReadable;
  let batch = "";
  let weights: number[] = []; // how many lines are lost with each line of the batch: a notice stands for those it tells of
  let isScheduled = false;
  let dropped = 0;
  let reason: Error | undefined;

  function send(callback?: () => void): void {
    const [lines, sent] = [batch, weights];
    [batch, weights, isScheduled] = ["", [], false];
    output.write(lines, (lost, error) => {
      for (const weight of sent.slice(sent.length - lost)) dropped += weight;
      reason = error ?? reason;
      callback?.();
    });
  }

  function queue(line: string, weight: number): boolean {
    if (output.queuedBytes + batch.length + line.length > maxQueuedBytes) return false;
    batch += line;
    weights.push(weight);
    if (!isScheduled) {
      isScheduled = true;
      setImmediate(send);
    }
    return true;
  }

  const announce = (): void => {
    if (dropped === 0) return;
    const head = { level: "WARN", time: formatTime(now()), target: "dyn_runtime::logging" };
    const notice = { ...head, dropped_lines: dropped, error: reason?.message, message: "log lines dropped" };
    if (queue(format(`${JSON.stringify(notice)}\n`), dropped)) [dropped, reason] = [0, undefined];
  };
  const sendRest = (): void => {
    onExit?.();
    announce();
    if (batch !== "") send();
  };
  const listening = onProcessExit(sendRest);
  return {
    write(line) {
      announce();
      if (!queue(format(line), 1)) dropped += 1;
    },
    async flush(limitMs) {
      const { promise, resolve } = Promise.withResolvers<void>();
      announce();
      send(resolve);
      await within(promise, limitMs);
    },
    [Symbol.dispose]: listening[Symbol.dispose],
  };
}

// Node.js takes eleven listeners for a leak, and a process may have as many runtimes.
function onProcessExit(end: () => void): Disposable {
  const grow = (by: number): void => {
    const most = process.getMaxListeners();
    if (most > 0) process.setMaxListeners(most + by);
  };
  grow(1);
  process.on("exit", end);
  const leave = once(() => {
    process.off("exit", end);
    grow(-1);
  });
  return { [Symbol.dispose]: leave };
}
