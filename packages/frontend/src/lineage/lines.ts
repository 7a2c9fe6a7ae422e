/** Log lines as evidence: what kind of line it is, where it stands, and its fields. docs/logging.md describes them. */

/** Which span a line is about, and what it says of it. `other` lines only mention the request. */
export type LineEvent =
  | "request received"
  | "response sent"
  | "stream finished"
  | "request completed"
  | "attempt ended"
  | "worker received"
  | "worker completed"
  | "worker refused"
  | "other";

export interface LogLine {
  readonly event: LineEvent;
  readonly fields: Readonly<Record<string, unknown>>;
  /** Unix time in ms with a fraction; NaN without a readable `time`. */
  readonly at: number;
  /** `file:line`. */
  readonly place: string;
  /** The record as it was written, to recognise copies. */
  readonly text: string;
}

/** Text of a field; undefined if it is missing or no text. */
export function textOf({ fields }: Pick<LogLine, "fields">, name: string): string | undefined {
  const value = fields[name];
  return typeof value === "string" ? value : undefined;
}

/** Its level is WARN or ERROR. */
export function isSerious(line: LogLine): boolean {
  return ["WARN", "ERROR"].includes(textOf(line, "level") ?? "");
}

/** The log in which a line stands. */
export function logOf({ place }: Pick<LogLine, "place">): string {
  return place.slice(0, place.lastIndexOf(":"));
}

/** Unix time in ms of an RFC 3339 time, down to microseconds; NaN if it is none. */
export function parseTime(text: string | undefined): number {
  const match = /^(.{19})(\.\d+)?(Z|[+-]\d\d:\d\d)$/.exec(text ?? "");
  return match ? Date.parse(`${match[1]}${match[3]}`) + Number(match[2] ?? 0) * 1000 : Number.NaN;
}

/** RFC 3339 in UTC with microseconds, as in the log. */
export function formatTime(epochMs: number): string {
  const second = Math.floor(epochMs / 1000);
  const micros = Math.min(999_999, Math.round((epochMs - second * 1000) * 1000));
  return `${new Date(second * 1000).toISOString().slice(0, -5)}.${String(micros).padStart(6, "0")}Z`;
}

const requestEvents: Readonly<Record<string, LineEvent>> = {
  "request received": "request received",
  "http response sent": "response sent",
  "http response finished": "stream finished",
  "request completed": "request completed",
};
const workerEvents: Readonly<Record<string, LineEvent>> = {
  "request received": "worker received",
  "request completed": "worker completed",
  "request refused": "worker refused",
};

// The target is part of it: what a handler logs has the worker's span, too, and any message.
function eventOf(fields: Readonly<Record<string, unknown>>): LineEvent {
  const { span_name: span, target, message } = fields;
  if (typeof message !== "string" || typeof target !== "string") return "other";
  if (span === "http-request") return target === "system_span" ? "other" : own(requestEvents, message);
  if (span === "router.route_request") return target === "request_span" && message.startsWith("route request ") ? "attempt ended" : "other";
  return span === "handle_payload" && target.startsWith("dyn_runtime::ingress") ? own(workerEvents, message) : "other";
}

function own(events: Readonly<Record<string, LineEvent>>, message: string): LineEvent {
  return (Object.hasOwn(events, message) ? events[message] : undefined) ?? "other";
}

/** Read one line; what stands before its first `{`, as collectors put it there, is ignored. @returns undefined if the rest is no JSON object. */
export function parseLine(line: string, place: string): LogLine | undefined {
  const start = line.indexOf("{");
  if (start < 0) return undefined;
  const text = line.slice(start).trimEnd();
  try {
    const fields = JSON.parse(text) as Record<string, unknown>; // begins with {, so it is an object
    return { event: eventOf(fields), fields, at: parseTime(textOf({ fields }, "time")), place, text };
  } catch {
    return undefined; // counted by the caller
  }
}
