/** What becomes of pino's line: JSON that begins as all lines do and hides nothing, or text for people. */
import { escapeHidden, hasHidden } from "../hidden-text.ts";

/** Facts of a line. Keys are chosen by code, never by a client; undefined values are left out. */
export type Fields = Readonly<Record<string, unknown>>;

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
    const micros = Math.min(999_999, Math.round((epochMs - current * 1000) * 1000));
    return `${prefix}${String(micros).padStart(6, "0")}Z`;
  };
}

/** One time in that format. */
export function formatTime(epochMs: number): string {
  return createTimeFormat()(epochMs);
}

/** `time`, `level`, `target`, `message`, the rest. `line` is one of `createPino`'s: level, time, target, the rest, message. */
export function formatJsonLine(line: string): string {
  const time = line.indexOf(',"time":"'); // within a text the quotes would be escaped
  const target = line.indexOf(',"target":"', time);
  const rest = line.indexOf('"', target + 11) + 1; // a target has no quotes
  const message = line.lastIndexOf(',"message":');
  const [level, head] = [line.slice(1, time), line.slice(time + 1, target)];
  const text = `{${head},${level}${line.slice(target, rest)}${line.slice(message, -2)}${line.slice(rest, message)}}\n`;
  // JSON has escaped the controls below the blank. Most lines are ASCII, which is seen at little cost.
  if (Buffer.byteLength(line) === line.length && !line.includes("\u007f")) return text;
  return `${escapeHidden(text.slice(0, -1))}\n`;
}

const needsQuotes = /[\s"=]/;
const forgesFacts = /["=]/;

function readableValue(value: unknown): string {
  return typeof value === "string" && value !== "" && !needsQuotes.test(value) && !hasHidden(value)
    ? value
    : JSON.stringify(value);
}

/** `TIME LEVEL target: message key=value …`: one line. What has blanks, quotes, `=` or hidden characters is quoted, so that facts cannot be forged. */
export function formatReadable(line: string): string {
  const { level, time, target, message, ...rest } = JSON.parse(line) as Fields; // pino writes one object
  const facts = Object.entries(rest).map(([key, value]) => ` ${readableValue(key)}=${readableValue(value)}`);
  const text = String(message);
  const said = forgesFacts.test(text) || hasHidden(text) ? JSON.stringify(text) : text;
  const head = `${String(time)} ${String(level).padStart(5)} ${String(target)}`;
  return `${escapeHidden(`${head}: ${said}${facts.join("")}`)}\n`;
}
