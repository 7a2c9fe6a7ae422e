/** Structured logging: filtered by target, bound to a request, written by a pino. */
import type { Logger as Pino } from "pino";
import { RuntimeError } from "../errors.ts";
import { parseLogEvents, type EventLevels, type LogEvent } from "./events.ts";
import { parseLogFilter, type Level, type LogFilter, type Threshold } from "./filter.ts";
import type { Fields } from "./format.ts";
import { bind, boundTo, type OpenTarget } from "./pino.ts";
import type { LogSampler } from "./sampling.ts";
import { createSums, type SumOptions, type Sums } from "./sums.ts";

/** What the parts of dyn log with. Facts first, then a fixed message. A level that is off costs one comparison. */
export interface Logger {
  trace(fields: Fields, message: string): void;
  debug(fields: Fields, message: string): void;
  info(fields: Fields, message: string): void;
  warn(fields: Fields, message: string): void;
  error(fields: Fields, message: string): void;
  /** A warning that is said once in the life of a process, however many of its parts find the same. */
  warnOnce(fields: Fields, message: string): void;
  /** The line of a lifecycle event, with its name in `event`. Default `level`: the one that `DYN_LOG_EVENTS` gives it. */
  event(name: LogEvent, fields: Fields, message: string, level?: Level): void;
  /** A line that anybody can cause as often as they like: of a kind ten are written in ten seconds, the others are one line with their `count`. */
  summed(level: Level, fields: Fields, message: string, options?: SumOptions): void;
  isEnabled(what: Level | LogEvent): boolean;
  /** A logger whose lines also carry what `options` says. */
  child(options: ChildOptions): Logger;
  /** The pino that writes its lines, for the code of users. Made when it is first asked for. */
  readonly pino: Pino;
}

export interface ChildOptions {
  /** Default: the parent's. */
  readonly target?: string;
  /** They win over a line's own, and over the parent's of the same name. A function is asked at the first line. */
  readonly fields?: Fields | (() => Fields);
  /** The request all lines of the child are about: below WARN they are written only if it is sampled. Default: the parent's. */
  readonly requestId?: string;
}

export interface LoggerOptions {
  readonly open: OpenTarget;
  readonly filter?: LogFilter;
  /** Default: as without `DYN_LOG_EVENTS`. */
  readonly events?: EventLevels;
  /** Default: every request. */
  readonly isLogged?: LogSampler;
  /** Default: of its own, which nobody disposes. */
  readonly sums?: Sums;
  readonly target?: string;
}

/** Where a pino of ours has its logger. The same in all copies of this package in a process. */
const maker: unique symbol = Symbol.for("@dyn/runtime: logger");

/** True for the `log` of a runtime or of a context, and for their children. */
export function isOurs(log: Pino): boolean {
  return maker in log;
}

/** The logger with the target and the bindings of one of those. @throws RuntimeError `invalid_argument` for any other pino. */
export function loggerOf(log: Pino): Logger {
  const { [maker]: logger } = log as { [maker]?: Logger };
  if (!logger) throw new RuntimeError("invalid_argument", "this log is not a runtime's");
  return Object.hasOwn(log, maker) ? logger : logger.child({ fields: boundTo(log) });
}

/** Create the root logger of a process. */
export function createLogger({ open, target = "dyn", ...options }: LoggerOptions): Logger {
  const {
    filter = parseLogFilter(""),
    events = parseLogEvents(""),
    isLogged = () => true,
    sums = createSums(),
  } = options;
  const root: Root = { open: remember(open), filter, events, isLogged, sums, said: new Set() };
  return new BoundLogger(root, { target, parent: undefined, fields: {}, isQuiet: false });
}

interface Root extends Required<Pick<LoggerOptions, "open" | "filter" | "events" | "isLogged" | "sums">> {
  /** Warnings that are not said again. */
  readonly said: Set<string>;
}

/** Beyond so many a warning may be said twice. */
const maxSaid = 1_000;
const lost = "lines of the log are lost, the pino that writes them has thrown";

// Targets are names in the code: there are few, and each request has loggers of the same ones.
function remember(open: OpenTarget): OpenTarget {
  const known = new Map<string, Pino[]>();
  return (target, threshold) => {
    const byThreshold = known.get(target) ?? [];
    known.set(target, byThreshold);
    return (byThreshold[threshold] ??= open(target, threshold));
  };
}

interface Binding {
  readonly target: string;
  readonly parent: BoundLogger | undefined;
  readonly fields: Fields | (() => Fields);
  /** The request is not sampled: nothing below WARN. */
  readonly isQuiet: boolean;
}

// A class, because every request makes several: children share their methods. Fields become text at the first line, which may never come.
class BoundLogger implements Logger {
  #root: Root;
  #binding: Binding;
  #merged: Fields | undefined;
  #pino: Pino | undefined;
  #threshold: Threshold;

  constructor(root: Root, binding: Binding) {
    this.#root = root;
    this.#binding = binding;
    const threshold = root.filter(binding.target);
    this.#threshold = binding.isQuiet ? Math.max(threshold, rank.warn) : threshold;
  }

  get #bound(): Fields {
    if (this.#merged) return this.#merged;
    const { fields, parent } = this.#binding;
    const own = typeof fields === "function" ? fields() : fields;
    this.#merged = parent ? { ...parent.#bound, ...own } : own;
    return this.#merged;
  }

  get pino(): Pino {
    this.#pino ??= Object.assign(bind(this.#root.open(this.#binding.target, this.#threshold), this.#bound), {
      [maker]: this,
    });
    return this.#pino;
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

  warnOnce(fields: Fields, message: string): void {
    const { said } = this.#root;
    const warning = [message, ...Object.entries(fields).flat()].map(String).join(" ");
    if (said.has(warning)) return;
    if (said.size < maxSaid) said.add(warning);
    this.warn(fields, message);
  }

  event(name: LogEvent, fields: Fields, message: string, level: Level | undefined = this.#root.events[name]): void {
    if (level) this.#write(level, { ...fields, event: name }, message);
  }

  summed(level: Level, fields: Fields, message: string, options: SumOptions = {}): void {
    if (rank[level] < this.#threshold) return;
    const write = (count?: number): void =>
      this.#write(level, count === undefined ? fields : { ...fields, count }, message);
    this.#root.sums.add(`${this.#binding.target} ${level} ${message}`, write, options);
  }

  isEnabled(what: Level | LogEvent): boolean {
    const level = what in rank ? (what as Level) : this.#root.events[what as LogEvent]; // `rank` has exactly the levels
    return level !== undefined && rank[level] >= this.#threshold;
  }

  child({ target = this.#binding.target, fields = {}, requestId }: ChildOptions): Logger {
    const isQuiet = requestId === undefined ? this.#binding.isQuiet : !this.#root.isLogged(requestId);
    return new BoundLogger(this.#root, { target, parent: this, fields, isQuiet });
  }

  // A pino of the user's may throw, or what it writes to: no request and no connection ends because of its line.
  #write(level: Level, fields: Fields, message: string): void {
    if (rank[level] < this.#threshold) return;
    try {
      this.pino[level](fields, message);
    } catch (error) {
      const { said } = this.#root;
      if (!said.has(lost)) process.emitWarning(`${lost}: ${error instanceof Error ? error.message : String(error)}`);
      said.add(lost);
    }
  }
}

const rank: Readonly<Record<Level, Threshold>> = { trace: 0, debug: 1, info: 2, warn: 3, error: 4 };
