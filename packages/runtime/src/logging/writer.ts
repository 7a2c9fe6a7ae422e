/** Writes records to standard error without ever waiting for its reader: lines of a tick leave together, a bounded number of bytes may wait. */
import { within } from "../lifetime.ts";
import { createTimeFormat, formatJsonLine, formatReadable, toRecord } from "./format.ts";
import type { RecordSink } from "./logger.ts";

/** What is needed of a stream. Node's standard error never blocks on a pipe, and does on a file or terminal, which take what they get. */
export interface LogStream {
  write(text: string, callback?: (error?: Error | null) => void): boolean;
  /** Bytes that wait for the reader. */
  readonly writableLength: number;
  on(event: "error", listener: (error: Error) => void): unknown;
  listeners(event: "error"): readonly unknown[];
}

export interface LogWriter extends Disposable {
  readonly write: RecordSink;
  /** Resolves once everything accepted so far has left, cannot leave, or `limitMs` have passed. */
  flush(limitMs: number): Promise<void>;
}

export interface LogWriterOptions {
  readonly jsonl: boolean;
  /** Default: standard error. */
  readonly stream?: LogStream;
  /** Most bytes that may wait for a slow reader, default 16 MiB; further lines are dropped and counted. */
  readonly maxQueuedBytes?: number;
  /** Wall clock in ms with a fraction, injected by tests. */
  readonly now?: () => number;
}

const wallClock = (): number => performance.timeOrigin + performance.now();
// A reader that is gone (EPIPE), a closed terminal, a full disk: there is nowhere left to say so.
const ignoreError = (): void => undefined;

/** Open the writer of a process. Dropped lines are announced in band by `log lines dropped` once there is room again. */
export function openLogWriter(options: LogWriterOptions): LogWriter {
  const { jsonl, stream = process.stderr, maxQueuedBytes = 16 * 1024 * 1024, now = wallClock } = options;
  const formatTime = createTimeFormat();
  const format = jsonl ? formatJsonLine : formatReadable;
  let batch = "";
  let isScheduled = false;
  let dropped = 0;
  if (!stream.listeners("error").includes(ignoreError)) stream.on("error", ignoreError);

  function send(callback?: () => void): void {
    isScheduled = false;
    const lines = batch;
    batch = "";
    stream.write(lines, callback);
  }

  function queue(line: string): boolean {
    if (stream.writableLength + batch.length + line.length > maxQueuedBytes) return false;
    batch += line;
    if (!isScheduled) {
      isScheduled = true;
      setImmediate(send);
    }
    return true;
  }

  const emit = (record: Record<string, unknown>): boolean => queue(format(formatTime(now()), record));
  const sendRest = (): void => {
    if (batch !== "") send();
  };
  process.on("exit", sendRest);
  return {
    write(record) {
      if (dropped > 0 && emit(toRecord("warn", "dyn_runtime::logging", "log lines dropped", { dropped_lines: dropped }, {}))) dropped = 0;
      if (!emit(record)) dropped += 1;
    },
    async flush(limitMs) {
      const { promise, resolve } = Promise.withResolvers<void>();
      send(resolve);
      await within(promise, limitMs);
    },
    [Symbol.dispose]() {
      process.off("exit", sendRest);
    },
  };
}
