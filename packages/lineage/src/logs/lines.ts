/** Log lines as evidence: what kind of line it is, where it stands, and its fields. docs/logging.md describes them. */
import { hash } from "node:crypto";
import { readFields, type LineFields } from "./line-fields.ts";
import { parseTime } from "./times.ts";

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

export interface LogLine extends LineFields {
  readonly event: LineEvent;
  /** Unix time in ms with a fraction; NaN without a readable `time`. */
  readonly at: number;
  /** `file:line`. */
  readonly place: string;
  /** The same for two lines with the same record, to the last character. */
  readonly digest: string;
}

/** Text of a field; undefined if it is missing or no text. */
export function textOf({ fields }: Pick<LogLine, "fields">, name: string): string | undefined {
  const value = fields[name];
  return typeof value === "string" ? value : undefined;
}

const ofRequests = new Set<LineEvent>(["request received", "response sent", "stream finished", "request completed"]);
const ofWorkers = new Set<LineEvent>(["worker received", "worker completed", "worker refused"]);

export function isRequestLine({ event }: LogLine): boolean {
  return ofRequests.has(event);
}

export function isWorkerLine({ event }: LogLine): boolean {
  return ofWorkers.has(event);
}

/** Its level is WARN or ERROR. */
export function isSerious(line: LogLine): boolean {
  return ["WARN", "ERROR"].includes(textOf(line, "level") ?? "");
}

/** The log in which a line stands. */
export function logOf({ place }: Pick<LogLine, "place">): string {
  return place.slice(0, place.lastIndexOf(":"));
}

const requestEvents: Readonly<Record<string, LineEvent>> = {
  request_received: "request received",
  http_response_sent: "response sent",
  http_response_finished: "stream finished",
  request_completed: "request completed",
};
const workerEvents: Readonly<Record<string, LineEvent>> = {
  request_received: "worker received",
  request_completed: "worker completed",
  request_refused: "worker refused",
};
const attemptEvents: Readonly<Record<string, LineEvent>> = {
  route_request: "attempt ended",
  request_completed: "attempt ended", // of a request that a program makes itself
};

// The target is part of it: what a handler logs has the worker's span, too, and any event.
function eventOf(fields: LogLine["fields"]): LineEvent {
  const { span_name: span, target } = fields;
  if (typeof target !== "string") return "other";
  if (span === "http-request") return target === "system_span" || isSum(fields) ? "other" : find(requestEvents, fields);
  if (span === "router.route_request") return target === "request_span" ? find(attemptEvents, fields) : "other";
  return span === "handle_payload" && target.startsWith("dyn_runtime::ingress") ? find(workerEvents, fields) : "other";
}

// Dynamo's lines, and those of dyn before it wrote `event`, say it in their message alone: `request received`, `route request failed`.
function find(events: Readonly<Record<string, LineEvent>>, { event, message }: LogLine["fields"]): LineEvent {
  const said = String(message).startsWith("route request ") ? "route_request" : String(message).replaceAll(" ", "_");
  const name = [event, said].find((each) => typeof each === "string" && Object.hasOwn(events, each));
  return (typeof name === "string" ? events[name] : undefined) ?? "other";
}

// It tells of many refused requests; this one is only the example.
function isSum({ count }: LogLine["fields"]): boolean {
  return count !== undefined;
}

/** Read one line; what stands before its first `{`, as collectors put it there, is ignored. @returns undefined if the rest is no JSON object. */
export function parseLine(line: string, place: string): LogLine | undefined {
  const start = line.indexOf("{");
  if (start < 0) return undefined;
  const text = line.slice(start).trimEnd();
  const record = parseRecord(text);
  if (!record) return undefined;
  const read = readFields(record);
  const time = textOf(read, "time");
  const at = parseTime(time);
  const odd = time !== undefined && Number.isNaN(at) ? [...read.odd, "time"] : read.odd;
  return {
    fields: read.fields,
    odd,
    chars: read.chars,
    event: eventOf(read.fields),
    at,
    place,
    digest: hash("sha256", text, "base64"),
  };
}

function parseRecord(text: string): object | undefined {
  try {
    return JSON.parse(text) as object; // begins with {, so it is one
  } catch {
    return undefined; // counted by the caller
  }
}
