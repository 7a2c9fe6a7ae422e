/** A log whose lines come as records, as they were written, without the time. */
import {
  createLogger as createFor,
  type Logger,
  type LoggerOptions,
} from "../../packages/runtime/src/logging/logger.ts";
import { parseLogFilter } from "../../packages/runtime/src/logging/filter.ts";
import { formatJsonLine, type Fields } from "../../packages/runtime/src/logging/format.ts";
import { createPino } from "../../packages/runtime/src/logging/pino.ts";
import { parseJsonLine } from "./log-lines.ts";

export type { Logger } from "../../packages/runtime/src/logging/logger.ts";

export interface TestLoggerOptions extends Omit<LoggerOptions, "open"> {
  readonly sink: (record: Record<string, unknown>) => void;
}

/** As that of a process. A line with a key that stands twice is an error. */
export function createLogger({ sink, ...options }: TestLoggerOptions): Logger {
  const write = (line: string): void => {
    const { time: _, ...record } = Object.fromEntries(parseJsonLine(formatJsonLine(line)).values);
    sink(record);
  };
  return createFor({ ...options, open: createPino({ write }, Date.now) });
}

/** What pino gives the writer. The clock stands at `epochMs`. */
export function writeLines(say: (log: Logger) => void, epochMs = 0): string[] {
  const lines: string[] = [];
  say(
    createFor({
      open: createPino({ write: (line) => void lines.push(line) }, () => epochMs),
      filter: parseLogFilter("trace"),
    }),
  );
  return lines;
}

/** One of them, about target `t`, at INFO. */
export function writeLine(fields: Fields, message: string, epochMs = 0): string {
  return writeLines((log) => log.child({ target: "t" }).info(fields, message), epochMs)[0] ?? "";
}
