/** Turns one event into one record: reserved keys first, the rest alphabetical, values as they are. */
import { escapeHidden, hasHidden } from "../hidden-text.ts";
import { formatError, isError } from "./causes.ts";
import type { Level } from "./filter.ts";

/** Takes finished records; the only thing that differs between JSONL, readable text and tests. */
export type RecordSink = (record: Record<string, unknown>) => void;

/** Facts of a line. Keys are chosen by code, never by a client; undefined values are left out. */
export type Fields = Readonly<Record<string, unknown>>;

const reserved = new Set(["time", "level", "file", "line", "target", "message"]);

/** A format for RFC 3339 UTC with microseconds, as Dynamo writes it. It remembers the last second: most lines share it. */
export function createTimeFormat(): (epochMs: number) => string {
  let second = Number.NaN;
  let prefix = "";
  return (epochMs) => {
    const current = Math.floor(epochMs / 1000);
    if (current !== second) {
      second = current;
      prefix = new Date(current * 1000).toISOString().slice(0, -4);
    }
    const micros = Math.floor((epochMs - current * 1000) * 1000);
    return `${prefix}${String(micros).padStart(6, "0")}Z`;
  };
}

/** One line of JSONL, `time` first. */
export function formatJsonLine(time: string, record: Record<string, unknown>): string {
  const line = `{"time":"${time}",${JSON.stringify(record).slice(1)}\n`;
  // JSON.stringify has escaped the controls below the blank. Most lines are ASCII, which is seen at little cost.
  if (Buffer.byteLength(line) === line.length && !line.includes("\u007f")) return line;
  return `${escapeHidden(line.slice(0, -1))}\n`;
}

// A value may be anything that foreign code has thrown: the line matters more than a cycle, a getter or a trap in it.
function plainValue(value: unknown): unknown {
  try {
    return toPlain(value);
  } catch {
    return "[not serialisable]";
  }
}

function toPlain(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (isError(value)) return formatError(value);
  if (typeof value === "number" && !Number.isFinite(value)) return null;
  if (typeof value === "object" && value !== null)
    return JSON.parse(
      JSON.stringify(value, (_key, inner: unknown) => (typeof inner === "bigint" ? inner.toString() : inner)),
    );
  return typeof value === "function" || typeof value === "symbol" ? String(value) : value;
}

/** Merge `own` and `bound` (which wins: ids cannot be overwritten) in alphabetical order; a reserved key becomes `field.<key>`. */
export function toRecord(
  level: Level,
  target: string,
  message: string,
  own: Fields,
  bound: Fields,
): Record<string, unknown> {
  const record: Record<string, unknown> = { level: level.toUpperCase(), target, message };
  const merged: Record<string, unknown> = { ...own, ...bound };
  for (const key of Object.keys(merged).sort()) {
    const value = merged[key];
    if (value !== undefined) record[reserved.has(key) ? `field.${key}` : key] = plainValue(value);
  }
  return record;
}

const needsQuotes = /[\s"=]/;
const forgesFacts = /["=]/;

function readableValue(value: unknown): string {
  return typeof value === "string" && value !== "" && !needsQuotes.test(value) && !hasHidden(value)
    ? value
    : JSON.stringify(value);
}

/** `TIME LEVEL target: message key=value …`: one line. What has blanks, quotes, `=` or hidden characters is quoted, so that facts cannot be forged. */
export function formatReadable(time: string, record: Record<string, unknown>): string {
  const { level, target, message, ...rest } = record;
  const facts = Object.entries(rest).map(([key, value]) => ` ${readableValue(key)}=${readableValue(value)}`);
  const text = String(message);
  const said = forgesFacts.test(text) || hasHidden(text) ? JSON.stringify(text) : text;
  return `${escapeHidden(`${time} ${String(level).padStart(5)} ${String(target)}: ${said}${facts.join("")}`)}\n`;
}
