/** Sorts log lines into requests, attempts and workers, by their ids alone: one wrong id must not hide a line. */
import { textOf, type LogLine } from "./lines.ts";
import { namedSpans, nameAttempts } from "./named-attempts.ts";

/** Lines of one worker about one attempt. */
export interface WorkerLines {
  readonly lines: readonly LogLine[];
}

/** One attempt, and the lines of those who worked on it. */
export interface AttemptLines {
  /** What its line says. */
  readonly fields: LogLine["fields"];
  /** None if only `request completed` tells of it: then its fields are what follows from there. */
  readonly lines: readonly LogLine[];
  readonly workers: readonly WorkerLines[];
}

/** Lines of one request. */
export interface RequestLines {
  readonly requestId: string;
  readonly request: readonly LogLine[];
  readonly attempts: readonly AttemptLines[];
  /** Workers without an attempt. */
  readonly strays: readonly WorkerLines[];
  /** Lines that only mention the request. */
  readonly others: readonly LogLine[];
}

/** Spans above each other in one request: the worker's own requests may go on. */
const maxDepth = 32;
const requestEvents = new Set(["request received", "response sent", "stream finished", "request completed"]);
const workerEvents = new Set(["worker received", "worker completed", "worker refused"]);

export function isRequestLine({ event }: LogLine): boolean {
  return requestEvents.has(event);
}

export function isWorkerLine({ event }: LogLine): boolean {
  return workerEvents.has(event);
}

/** Sort `lines`, in any order, into requests, the earliest first. Only those with one of the ids `wanted` are kept. */
export function groupLines(lines: readonly LogLine[], wanted: ReadonlySet<string>): RequestLines[] {
  const sorted = [...lines].sort((left, right) => left.at - right.at);
  return unite(sorted)
    .flatMap(splitBySpan)
    .flatMap((group) => {
      const ids = group.flatMap((line) => textOf(line, "request_id") ?? []).filter((id) => wanted.has(id));
      const requestId = mostCommon(ids);
      return requestId === undefined ? [] : toRequestLines(requestId, group);
    });
}

// Lines belong together that share a request id or, whatever that says, a span: their own, or the one above in a neighbouring process.
function unite(lines: readonly LogLine[]): LogLine[][] {
  const requestSpans = new Set(lines.filter(isRequestLine).map((line) => textOf(line, "span_id")));
  const groups = new Map<string, Set<LogLine>>();
  for (const line of lines) {
    const keys = keysOf(line, requestSpans);
    const found = new Set(keys.flatMap((key) => groups.get(key) ?? []));
    const [target = new Set<LogLine>(), ...merged] = found;
    for (const group of merged) for (const member of group) target.add(member);
    target.add(line);
    for (const group of merged) for (const [key, value] of groups) if (value === group) groups.set(key, target);
    for (const key of keys) groups.set(key, target);
  }
  const distinct = [...new Set(groups.values())];
  return distinct.map((group) => [...group].sort((left, right) => left.at - right.at));
}

function keysOf(line: LogLine, requestSpans: ReadonlySet<string | undefined>): string[] {
  const [requestId, spanId, parentId] = [textOf(line, "request_id"), textOf(line, "span_id"), textOf(line, "parent_id")];
  const keys: string[] = [];
  if (requestId !== undefined) keys.push(`request ${requestId}`);
  if (spanId !== undefined) keys.push(`span ${spanId}`);
  // A worker's own request may have a new id: it is another request, although its span lies below.
  const isChild = isWorkerLine(line) || (line.event === "attempt ended" && requestSpans.has(parentId));
  if (isChild && parentId !== undefined) keys.push(`span ${parentId}`);
  for (const span of namedSpans(line)) keys.push(`span ${span}`);
  return keys.length > 0 ? keys : [`line ${line.place}`];
}

// A client may send one request id several times. Each "request received" with a span of its own is a request of its own.
function splitBySpan(lines: LogLine[]): LogLine[][] {
  const spans = new Set(lines.filter(({ event }) => event === "request received").map((line) => textOf(line, "span_id")));
  if (spans.size < 2) return [lines];
  const parts = new Map<string | undefined, LogLine[]>([...spans].map((span) => [span, []]));
  const above = new Map(lines.filter((line) => line.event !== "other").map((line) => [textOf(line, "span_id"), textOf(line, "parent_id")]));
  for (const line of lines) for (const span of namedSpans(line)) above.set(span, textOf(line, "span_id"));
  const [first] = spans;
  for (const line of lines) {
    let span = textOf(line, "span_id");
    for (let steps = 0; span !== undefined && !parts.has(span) && steps < maxDepth; steps += 1) span = above.get(span);
    parts.get(parts.has(span) ? span : first)?.push(line);
  }
  return [...parts.values()];
}

function toRequestLines(requestId: string, lines: LogLine[]): RequestLines {
  const ended = lines.filter(({ event }) => event === "attempt ended");
  const written = [...groupBy(ended, "span_id").values()].map((own) => ({ fields: (own[0] as LogLine).fields, lines: own })); // a group has a line
  const named = nameAttempts(
    lines,
    written.map(({ fields }) => fields),
  );
  const attempts = [...written, ...named.map((fields) => ({ fields, lines: [] }))];
  const workers = groupWorkers(lines.filter(isWorkerLine));
  const homes = attempts.map(({ fields, lines }) => ({ fields, lines, workers: [] as WorkerLines[] }));
  const unplaced = workers.filter((worker) => !place(worker, homes, isChildOf));
  // An attempt nobody worked on and a worker without attempt that name each other: one of the spans is wrong, which the checks will say.
  const strays = unplaced.filter((worker) => !place(worker, homes, isCounterpart));
  return {
    requestId,
    request: lines.filter(isRequestLine),
    attempts: homes.map(withNumber),
    strays,
    others: lines.filter(({ event }) => event === "other"),
  };
}

type Home = AttemptLines & { readonly workers: WorkerLines[] };

function place(worker: WorkerLines, homes: readonly Home[], fits: (worker: WorkerLines, home: Home) => boolean): boolean {
  const home = homes.find((home) => fits(worker, home));
  home?.workers.push(worker);
  return home !== undefined;
}

function isChildOf(worker: WorkerLines, home: Home): boolean {
  const spanId = textOf(home, "span_id");
  return spanId !== undefined && worker.lines.some((line) => textOf(line, "parent_id") === spanId);
}

function isCounterpart(worker: WorkerLines, home: Home): boolean {
  if (home.workers.length > 0 || home.fields["request.sent"] === false) return false;
  const number = numberOf(worker);
  const expected = home.fields["request.attempt"];
  if (number !== undefined && expected !== undefined && number !== expected) return false;
  return worker.lines.some((line) => textOf(line, "instance_id") === textOf(home, "worker_id"));
}

// Where only its worker says which attempt it was.
function withNumber(home: Home): Home {
  if (home.lines.length > 0 || home.fields["request.attempt"] !== undefined) return home;
  const number = home.workers.map(numberOf).find((known) => known !== undefined) ?? 0;
  return { ...home, fields: { ...home.fields, "request.attempt": number } };
}

// The number of the attempt, as its worker was told.
function numberOf({ lines }: WorkerLines): unknown {
  return lines.find(({ fields }) => fields["attempt"] !== undefined)?.fields["attempt"];
}

// Two lines of a worker share their span; if they do not, the span above and the instance tell that they belong together.
function groupWorkers(lines: readonly LogLine[]): WorkerLines[] {
  const bySpan = [...groupBy(lines, "span_id").values()];
  const workers: LogLine[][] = [];
  for (const group of bySpan) {
    const half = workers.find((worker) => worker.length === 1 && group.length === 1 && isOtherHalf(worker[0] as LogLine, group[0] as LogLine)); // both have one
    if (half) half.push(...group);
    else workers.push(group);
  }
  return workers.map((lines) => ({ lines }));
}

function isOtherHalf(left: LogLine, right: LogLine): boolean {
  if (left.event === right.event || left.event === "worker refused" || right.event === "worker refused") return false;
  return textOf(left, "parent_id") === textOf(right, "parent_id") && textOf(left, "instance_id") === textOf(right, "instance_id");
}

function groupBy(lines: readonly LogLine[], name: string): Map<string | undefined, LogLine[]> {
  return Map.groupBy(lines, (line) => textOf(line, name));
}

/** The value most lines have; of two equally common ones the first. Absence is a value, too. */
export function mostCommon<Value>(values: readonly Value[]): Value | undefined {
  const counts = new Map<Value, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce<[Value, number] | undefined>((best, entry) => (best && best[1] >= entry[1] ? best : entry), undefined)?.[0];
}
