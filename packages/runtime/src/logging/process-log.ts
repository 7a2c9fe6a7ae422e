/** The log of a process, as its settings say. */
import { parseLogEvents } from "./events.ts";
import { parseLogFilter } from "./filter.ts";
import { createLogger, type Logger } from "./logger.ts";
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

/** Open the log on stderr. `now`: Unix time in ms with a fraction. @throws RuntimeError `invalid_argument` on a bad filter or list of events. */
export function openProcessLog(
  { log, logConsoleFormat, logJsonl, logEvents, logSampleRatio, logRefusals }: LogConfig,
  now: () => number,
): ProcessLog {
  const filter = parseLogFilter(log);
  const events = parseLogEvents(logEvents);
  const tellRest = (): void => sums[Symbol.dispose]();
  const writer = openLogWriter({
    jsonl: logConsoleFormat === "auto" ? logJsonl : logConsoleFormat === "jsonl",
    now,
    onExit: tellRest,
  });
  const sums = createSums({ sink: writer.write, whole: logRefusals });
  return {
    log: createLogger({ sink: writer.write, filter, events, isLogged: createLogSampler(logSampleRatio), sums }),
    async close() {
      tellRest();
      await writer.flush(flushMs);
      writer[Symbol.dispose]();
    },
  };
}
