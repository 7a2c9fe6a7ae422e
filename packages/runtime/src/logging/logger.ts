/** Structured logging on stderr: filtered by target, bound to a request, written without blocking. */
import { pino, type DestinationStream, type Logger as PinoLogger } from "pino";
import { parseLogFilter, type Level, type LogFilter } from "./filter.ts";
import { formatReadable, formatTime, toRecord, type Fields } from "./format.ts";

/** Facts first, then a fixed message. A level that is off costs one comparison. */
export interface Logger {
  trace(fields: Fields, message: string): void;
  debug(fields: Fields, message: string): void;
  info(fields: Fields, message: string): void;
  warn(fields: Fields, message: string): void;
  error(fields: Fields, message: string): void;
  isEnabled(level: Level): boolean;
  /** A logger whose lines also carry `fields` (they win over a line's own) and, if given, another target. */
  child(options: { target?: string; fields?: Fields }): Logger;
}

/** Takes finished records; the only thing that differs between JSONL, readable text and tests. */
export type RecordSink = (record: Record<string, unknown>) => void;

/** Owns the file descriptor: lines are queued up to a limit, then counted as dropped. */
export interface LogWriter {
  readonly write: RecordSink;
  /** Everything accepted so far has reached the descriptor. */
  flush(): void;
}

export interface LogWriterOptions {
  readonly jsonl: boolean;
  /** File descriptor, default 2 (stderr). */
  readonly fd?: number;
  /** Most bytes that may wait for a slow reader, default 16 MiB; further lines are dropped and counted. */
  readonly maxQueuedBytes?: number;
  /** Wall clock in ms with a fraction, injected by tests. */
  readonly now?: () => number;
}

const wallClock = (): number => performance.timeOrigin + performance.now();

/** Open the writer of a process. Dropped lines are announced in band by `log lines dropped` once there is room again. */
export function openLogWriter({ jsonl, fd = 2, maxQueuedBytes = 16 * 1024 * 1024, now = wallClock }: LogWriterOptions): LogWriter {
  const stream = pino.destination({ dest: fd, sync: false, maxLength: maxQueuedBytes });
  let dropped = 0;
  stream.on("drop", () => (dropped += 1));
  stream.on("error", () => (dropped += 1)); // stderr is gone (EPIPE): there is nowhere left to say so
  const emit = jsonl ? jsonlSink(stream, now) : (record: Record<string, unknown>) => stream.write(formatReadable(formatTime(now()), record));
  return {
    write(record) {
      if (dropped > 0) {
        const lost = dropped;
        dropped = 0;
        emit(toRecord("warn", "dyn_runtime::logging", "log lines dropped", { dropped_lines: lost }, {}));
      }
      emit(record);
    },
    flush() {
      try {
        stream.flushSync();
      } catch {
        // the descriptor is closed or its reader is gone: a last line cannot be saved, and exiting matters more
      }
    },
  };
}

// pino writes level, then time, then the object. Level is emptied here and travels inside the record instead, so that `time` comes first.
function jsonlSink(stream: DestinationStream, now: () => number): RecordSink {
  const writer: PinoLogger = pino(
    { base: null, level: "trace", formatters: { level: () => ({}) }, timestamp: () => `"time":"${formatTime(now())}"` },
    stream,
  );
  return (record) => writer.info(record);
}

export interface LoggerOptions {
  readonly sink: RecordSink;
  readonly filter?: LogFilter;
  readonly target?: string;
}

/** Create the root logger of a process. */
export function createLogger({ sink, filter = parseLogFilter(""), target = "dyn" }: LoggerOptions): Logger {
  return new BoundLogger({ sink, filter }, target, {});
}

// A class, because every request makes several: children share their methods.
class BoundLogger implements Logger {
  #root: Required<Pick<LoggerOptions, "sink" | "filter">>;
  #target: string;
  #bound: Fields;
  #threshold: number;

  constructor(root: Required<Pick<LoggerOptions, "sink" | "filter">>, target: string, bound: Fields) {
    this.#root = root;
    this.#target = target;
    this.#bound = bound;
    this.#threshold = root.filter(target);
  }

  trace(fields: Fields, message: string): void {
    this.#write("trace", fields, message);
  }

  debug(fields: Fields, message: string): void {
    this.#write("debug", fields, message);
  }

  info(fields: Fields, message: string): void {
    this.#write("info", fields, message);
  }

  warn(fields: Fields, message: string): void {
    this.#write("warn", fields, message);
  }

  error(fields: Fields, message: string): void {
    this.#write("error", fields, message);
  }

  isEnabled(level: Level): boolean {
    return rank[level] >= this.#threshold;
  }

  child({ target = this.#target, fields }: { target?: string; fields?: Fields }): Logger {
    return new BoundLogger(this.#root, target, { ...this.#bound, ...fields });
  }

  #write(level: Level, fields: Fields, message: string): void {
    if (rank[level] < this.#threshold) return;
    this.#root.sink(toRecord(level, this.#target, message, fields, this.#bound));
  }
}

const rank: Readonly<Record<Level, number>> = { trace: 0, debug: 1, info: 2, warn: 3, error: 4 };
