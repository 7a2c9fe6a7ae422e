/** Structured logging: filtered by target, bound to a request. */
import { parseLogFilter, type Level, type LogFilter } from "./filter.ts";
import { toRecord, type Fields } from "./format.ts";

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
