/** Structured logging on stderr: filtered by target, bound to a request, written without blocking. */
import { pino, type DestinationStream, type Logger as PinoLogger } from "pino";
import { levels, parseLogFilter, type Level, type LogFilter } from "./filter.ts";
import { formatReadable, formatTime, toRecord, type Fields } from "./format.ts";

type Write = (fields: Fields, message: string) => void;

/** Facts first, then a fixed message. Levels that are off are no-ops. */
export interface Logger {
  readonly trace: Write;
  readonly debug: Write;
  readonly info: Write;
  readonly warn: Write;
  readonly error: Write;
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

const silent: Write = () => undefined;

/** Create the root logger of a process. */
export function createLogger({ sink, filter = parseLogFilter(""), target = "dyn" }: LoggerOptions): Logger {
  return bind(sink, filter, target, {});
}

function bind(sink: RecordSink, filter: LogFilter, target: string, bound: Fields): Logger {
  const threshold = filter(target);
  const writeAt = (level: Level): Write =>
    levels.indexOf(level) < threshold ? silent : (fields, message) => sink(toRecord(level, target, message, fields, bound));
  return {
    trace: writeAt("trace"),
    debug: writeAt("debug"),
    info: writeAt("info"),
    warn: writeAt("warn"),
    error: writeAt("error"),
    isEnabled: (level) => levels.indexOf(level) >= threshold,
    child: (options) => bind(sink, filter, options.target ?? target, { ...bound, ...options.fields }),
  };
}
