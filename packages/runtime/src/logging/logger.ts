/** Structured logging on stderr: filtered by target, bound to a request, written without blocking. */
import { pino } from "pino";
import { within } from "../lifetime.ts";
import { parseLogFilter, type Level, type LogFilter } from "./filter.ts";
import { formatJsonLine, formatReadable, createTimeFormat, toRecord, type Fields } from "./format.ts";

/** Facts first, then a fixed message. A level that is off costs one comparison. */
export interface Logger {
  trace(fields: Fields, message: string): void;
  debug(fields: Fields, message: string): void;
  info(fields: Fields, message: string): void;
  warn(fields: Fields, message: string): void;
  error(fields: Fields, message: string): void;
  isEnabled(level: Level): boolean;
  /** A logger whose lines also carry `fields` (they win over a line's own) and, if given, another target. A function is asked at the first line. */
  child(options: { target?: string; fields?: Fields | (() => Fields) }): Logger;
}

/** Takes finished records; the only thing that differs between JSONL, readable text and tests. */
export type RecordSink = (record: Record<string, unknown>) => void;

/** Owns the file descriptor: lines are queued up to a limit, then counted as dropped. */
export interface LogWriter {
  readonly write: RecordSink;
  /** Resolves once everything accepted so far has reached the descriptor, or `limitMs` have passed. */
  flush(limitMs: number): Promise<void>;
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
  let isDrained = true;
  stream.on("drop", () => (dropped += 1));
  stream.on("drain", () => (isDrained = true));
  stream.on("error", () => (isDrained = true)); // stderr is gone (EPIPE): there is nowhere left to say so
  const formatTime = createTimeFormat();
  const format = jsonl ? formatJsonLine : formatReadable;
  const emit = (record: Record<string, unknown>): void => {
    isDrained = false;
    stream.write(format(formatTime(now()), record));
  };
  // The notice may be dropped itself: the count is kept until one gets through.
  const announce = (): void => {
    const lost = dropped;
    emit(toRecord("warn", "dyn_runtime::logging", "log lines dropped", { dropped_lines: lost }, {}));
    dropped = dropped === lost ? 0 : lost;
  };
  return {
    write(record) {
      if (dropped > 0) announce();
      emit(record);
    },
    async flush(limitMs) {
      if (isDrained) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      stream.once("drain", resolve).once("error", resolve);
      await within(promise, limitMs);
    },
  };
}

export interface LoggerOptions {
  readonly sink: RecordSink;
  readonly filter?: LogFilter;
  readonly target?: string;
}

/** Create the root logger of a process. */
export function createLogger({ sink, filter = parseLogFilter(""), target = "dyn" }: LoggerOptions): Logger {
  return new BoundLogger({ sink, filter }, target, undefined, {});
}

type Root = Required<Pick<LoggerOptions, "sink" | "filter">>;

// A class, because every request makes several: children share their methods. Fields are merged at the first line, which may never come.
class BoundLogger implements Logger {
  #root: Root;
  #target: string;
  #parent: BoundLogger | undefined;
  #fields: Fields | (() => Fields);
  #merged: Fields | undefined;
  #threshold: number;

  constructor(root: Root, target: string, parent: BoundLogger | undefined, fields: Fields | (() => Fields)) {
    this.#root = root;
    this.#target = target;
    this.#parent = parent;
    this.#fields = fields;
    this.#threshold = root.filter(target);
  }

  get #bound(): Fields {
    if (this.#merged) return this.#merged;
    const own = typeof this.#fields === "function" ? this.#fields() : this.#fields;
    this.#merged = this.#parent ? { ...this.#parent.#bound, ...own } : own;
    return this.#merged;
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

  child({ target = this.#target, fields = {} }: { target?: string; fields?: Fields | (() => Fields) }): Logger {
    return new BoundLogger(this.#root, target, this, fields);
  }

  #write(level: Level, fields: Fields, message: string): void {
    if (rank[level] < this.#threshold) return;
    this.#root.sink(toRecord(level, this.#target, message, fields, this.#bound));
  }
}

const rank: Readonly<Record<Level, number>> = { trace: 0, debug: 1, info: 2, warn: 3, error: 4 };
