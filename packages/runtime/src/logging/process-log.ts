/** The log of a process, as its settings say. */
import type { Logger as Pino } from "pino";
import { RuntimeError } from "../errors.ts";
import { parseLogEvents } from "./events.ts";
import { levels, parseLogFilter } from "./filter.ts";
import { createLogger, isOurs, loggerOf, type Logger } from "./logger.ts";
import { adoptPino, createPino, isAltered, type OpenTarget } from "./pino.ts";
import { createLogSampler } from "./sampling.ts";
import { createSums } from "./sums.ts";
import { openLogWriter } from "./writer.ts";

export interface LogConfig {
  /** Filter of lines: a level, or `TARGET=LEVEL`, separated by commas. Default `info`. */
  readonly log: string;
  /** Lines are JSON instead of readable text. Default `false`. */
  readonly logJsonl: boolean;
  /** Form of lines; `auto` leaves it to `logJsonl`. Default `auto`. */
  readonly logConsoleFormat: "auto" | "readable" | "jsonl";
  /** Level of lifecycle events, `EVENT=LEVEL` separated by commas. Default: `info` for all but `route_request`, which is `debug`. */
  readonly logEvents: string;
  /** Share of requests, chosen by request id, whose lines below WARN are written, 0 to 1. Default `1`. */
  readonly logSampleRatio: number;
  /** Refusals of a kind that are written in ten seconds; those beyond are counted, and told of in one line. Default `10`. */
  readonly logRefusals: number;
}

/** How long a slow reader of the log may hold the end of the process. */
const flushMs = 5_000;

export interface ProcessLog {
  readonly log: Logger;
  /** Write out what is queued, within 5 s, and let go of the descriptor. */
  readonly close: () => Promise<void>;
}

/** Open the log: on `given`, which stays its owner's, or on stderr. `now`: Unix time in ms with a fraction.
 *  @throws RuntimeError `invalid_argument` on a bad filter or list of events, or if `given` is no pino. */
export function openProcessLog(config: LogConfig, now: () => number, given?: Pino): ProcessLog {
  if (given !== undefined) assertPino(given);
  if (given && isOurs(given)) {
    if (isAltered(given)) throw new RuntimeError("invalid_argument", alteredAdvice);
    return { log: loggerOf(given), close: () => Promise.resolve() };
  }
  const filter = parseLogFilter(config.log);
  const events = parseLogEvents(config.logEvents);
  const isLogged = createLogSampler(config.logSampleRatio);
  const sums = createSums({ whole: config.logRefusals });
  const tellRest = (): void => sums[Symbol.dispose]();
  const { open, close } = given
    ? { open: adoptPino(given), close: () => Promise.resolve() }
    : openStandardLog(config, now, tellRest);
  return {
    log: createLogger({ open, filter, events, isLogged, sums }),
    close: () => {
      tellRest();
      return close();
    },
  };
}

interface Opened {
  readonly open: OpenTarget;
  readonly close: () => Promise<void>;
}

const alteredAdvice =
  "log must be a runtime's or a pino logger of your own: this one is a child of a runtime's with options, such as redact, which would not hold for all lines";

// Programs may give anything.
function assertPino(given: Pino | null): void {
  if (typeof given !== "object" || given === null)
    throw new RuntimeError(
      "invalid_argument",
      `log must be a pino logger, got ${given === null ? "null" : `a ${typeof given}`}`,
    );
  for (const name of ["child", ...levels] as const)
    if (typeof given[name] !== "function")
      throw new RuntimeError("invalid_argument", `log must be a pino logger, this one has no method ${name}`);
}

function openStandardLog({ logConsoleFormat, logJsonl }: LogConfig, now: () => number, onExit: () => void): Opened {
  const jsonl = logConsoleFormat === "auto" ? logJsonl : logConsoleFormat === "jsonl";
  const writer = openLogWriter({ jsonl, now, onExit });
  const close = async (): Promise<void> => {
    await writer.flush(flushMs);
    writer[Symbol.dispose]();
  };
  const stream = {
    write: (line: string) => writer.write(line),
    flush: (done: () => void) => void writer.flush(flushMs).then(() => setImmediate(done)), // as pino's users call it
  };
  return { open: createPino(stream, now), close };
}
