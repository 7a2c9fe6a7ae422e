/** Settings of the log. */
import { decimalNumber, numberSetting, oneOf, parseSwitch, type SettingsOf } from "./setting.ts";
import type { LogConfig } from "../logging/process-log.ts";
import { parseLogEvents } from "../logging/events.ts";
import { parseLogFilter } from "../logging/filter.ts";

function parseLog(text: string): string {
  parseLogFilter(text);
  return text.trim();
}

function parseEvents(text: string): string {
  parseLogEvents(text);
  return text.trim();
}

export const logSettings: SettingsOf<LogConfig> = {
  log: {
    env: "DYN_LOG",
    flag: "log",
    default: "info",
    parse: parseLog,
    help: "log filter: LEVEL or TARGET=LEVEL, separated by commas",
  },
  logJsonl: {
    env: "DYN_LOGGING_JSONL",
    flag: "log-jsonl",
    default: false,
    parse: parseSwitch,
    help: "write log lines as JSON instead of readable text",
  },
  logConsoleFormat: {
    env: "DYN_LOGGING_CONSOLE_FORMAT",
    flag: "log-console-format",
    default: "auto",
    parse: oneOf("auto", "readable", "jsonl"),
    help: "form of log lines: readable, jsonl, or auto, which leaves it to DYN_LOGGING_JSONL",
  },
  logEvents: {
    env: "DYN_LOG_EVENTS",
    flag: "log-events",
    default: "",
    parse: parseEvents,
    help: "level of a lifecycle event: EVENT=LEVEL, separated by commas; the others are info, route_request debug",
  },
  logSampleRatio: {
    env: "DYN_LOG_SAMPLE_RATIO",
    flag: "log-sample-ratio",
    default: 1,
    parse: decimalNumber(0, 1),
    help: "share of requests, chosen by request id, whose lines below WARN are written",
  },
  logRefusals: numberSetting(
    "DYN_LOG_REFUSALS",
    "log-refusals",
    10,
    [1, 1_000_000],
    "refusals of a kind that are written in ten seconds; those beyond are counted, and told of in one line",
  ),
};
