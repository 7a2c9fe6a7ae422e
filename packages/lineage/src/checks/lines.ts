/** Is every line there, once, and do all of them carry the same ids? */
import { countOf } from "@dyn/runtime/internal";
import { mostCommon, type RequestLines } from "../grouping/group.ts";
import type { AttemptLines, WorkerLines } from "../grouping/homes.ts";
import { isSerious, textOf, type LineEvent, type LogLine } from "../logs/lines.ts";
import { listSome } from "../logs/lists.ts";
import { contradiction, cut, missing, note, type Problem } from "../tree.ts";

/** Where lines come from. */
export interface Origin {
  /** All lines by their digest. */
  readonly copies: ReadonlyMap<string, readonly LogLine[]>;
  /** How many logs were looked at. */
  readonly logs?: number;
  /** The logs in which instances speak, by their ids. */
  readonly logsOf?: ReadonlyMap<string, string>;
}

export function checkLines(group: RequestLines, origin: Origin): Problem[] {
  const workers = [...group.attempts.flatMap(({ workers }) => workers), ...group.strays];
  const lifecycle = [
    ...group.request,
    ...group.attempts.flatMap(({ lines }) => lines),
    ...workers.flatMap(({ lines }) => lines),
  ];
  return [
    ...noteCopies(lifecycle, origin),
    ...noteOdd(lifecycle),
    ...(isThinned(group, lifecycle) ? explainAbsence(lifecycle) : checkPresence(group, origin)),
    ...checkIds(group, workers, lifecycle),
    ...group.others.flatMap(checkWarning),
  ];
}

// True if lines below WARN are nowhere, although there must have been some.
function isThinned({ request, attempts }: RequestLines, lifecycle: readonly LogLine[]): boolean {
  if (!lifecycle.every(isSerious)) return false;
  const workers = attempts.flatMap(({ workers }) => workers.flatMap(({ lines }) => lines));
  return lifecycle.length === 0 || request.length > 0 || workers.some(({ event }) => event === "worker completed");
}

function explainAbsence(lifecycle: readonly LogLine[]): Problem[] {
  if (lifecycle.length === 0)
    return [
      missing(
        "its lifecycle: it is no inference request, or its lines were sampled out, filtered, or summed up with those of others that were refused",
      ),
    ];
  return [
    missing(
      "all lines below WARN: this request was probably sampled out, or DYN_LOG filters them; what is left was checked",
    ),
  ];
}

function checkPresence(group: RequestLines, origin: Origin): Problem[] {
  return [
    ...checkRequest(group),
    ...group.attempts.flatMap((attempt) => checkAttempt(attempt, origin)),
    ...group.strays.flatMap(checkStray),
  ];
}

function checkIds(group: RequestLines, workers: readonly WorkerLines[], lifecycle: readonly LogLine[]): Problem[] {
  const common = ["request_id", "x_request_id", "trace_id"];
  return [
    ...common.flatMap((name) => checkSame(name, [...lifecycle, ...group.others.filter((line) => name in line.fields)])),
    ...["span_id", "parent_id"].flatMap((name) => checkSame(name, group.request)),
    ...workers.flatMap(({ lines }) =>
      ["span_id", "parent_id", "instance_id"].flatMap((name) => checkSame(name, lines)),
    ),
  ];
}

function nameOf(line: LogLine): string {
  return `"${cut(textOf(line, "message") ?? "?")}" (${line.place})`;
}

function listOf(lines: readonly LogLine[]): string {
  return listSome(lines.map(nameOf));
}

function show(value: string | undefined): string {
  return value === undefined ? "absent" : cut(value);
}

// A line has its time to the microsecond and its span: what is the same to the last character is a copy, as of a log that was rotated or given twice.
function noteCopies(lifecycle: readonly LogLine[], { copies }: Origin): Problem[] {
  const [first, ...more] = lifecycle.map(({ digest }) => copies.get(digest) ?? []).filter((same) => same.length > 1);
  if (!first) return [];
  const places = listSome(first.map(({ place }) => place));
  return [
    note(
      `${countOf(more.length + 1, "line is", "lines are")} there more than once and taken as one: ${places}${more.length > 0 ? ", …" : ""}`,
    ),
  ];
}

// No process of dyn writes a list where a number belongs; somebody in between may.
function noteOdd(lifecycle: readonly LogLine[]): Problem[] {
  const odd = lifecycle.flatMap((line) => line.odd.map((name) => `${name} of ${nameOf(line)}`));
  if (odd.length === 0) return [];
  return [
    note(
      `${countOf(odd.length, "field was", "fields were")} left out, because of values that cannot be there: ${listSome(odd)}`,
    ),
  ];
}

// One id, in all lines; the odd ones out are named.
function checkSame(name: string, lines: readonly LogLine[]): Problem[] {
  const expected = mostCommon(lines.map((line) => textOf(line, name)));
  const odd = Map.groupBy(
    lines.filter((line) => textOf(line, name) !== expected),
    (line) => textOf(line, name),
  );
  return [...odd].map(([value, where]) =>
    contradiction(`${name} is ${show(value)} in ${listOf(where)}, but ${show(expected)} elsewhere`),
  );
}

function count(lines: readonly LogLine[], event: LineEvent): number {
  return lines.filter((line) => line.event === event).length;
}

function checkTwice(who: string, lines: readonly LogLine[], events: readonly LineEvent[]): Problem[] {
  const more = events.map((event) => lines.filter((line) => line.event === event)).filter((found) => found.length > 1);
  return more.map((found) =>
    contradiction(`${who} has ${found.length} different lines where there must be one: ${listOf(found)}`),
  );
}

function checkRequest({ request, attempts }: RequestLines): Problem[] {
  if (request.length === 0) {
    if (attempts.length > 0)
      return [note("no line of an HTTP request: a program made this request itself, or those lines were filtered")];
    return [missing("every line of the frontend: its log is not among the files, or its lines were filtered")];
  }
  const problems = checkTwice("the frontend", request, [
    "request received",
    "response sent",
    "stream finished",
    "request completed",
  ]);
  if (count(request, "request received") === 0) problems.push(missing(`the frontend's "request received"`));
  const completed = request.find(({ event }) => event === "request completed");
  const answered = request.find(({ event }) => event === "response sent");
  if (!completed)
    problems.push(
      missing(
        `the frontend's "request completed": it still runs, or the process ended before; how it ended is unknown`,
      ),
    );
  // A client that leaves early has no answer.
  else if (!answered && (textOf(completed, "status") !== "cancelled" || count(request, "stream finished") > 0)) {
    problems.push(missing(`the frontend's "http response sent"`));
  }
  const isStream = completed && textOf(completed, "request_type") === "stream" && answered?.fields["status"] === 200;
  if (isStream && count(request, "stream finished") === 0)
    problems.push(missing(`the frontend's "http response finished"`));
  return problems;
}

function checkAttempt(attempt: AttemptLines, origin: Origin): Problem[] {
  const { fields, lines, workers } = attempt;
  const name = `attempt ${String(fields["request.attempt"] ?? "?")}`;
  const problems = checkTwice(name, lines, ["attempt ended"]);
  const instance = textOf(attempt, "worker_id");
  const isExpected = fields["request.sent"] !== false;
  if (isExpected && workers.length === 0) problems.push(missing(describeSilence(name, instance, origin)));
  if (!isExpected && workers.length > 0)
    problems.push(contradiction(`${name} was never sent, but instance ${cut(instance ?? "unknown")} worked on it`));
  return [...problems, ...workers.flatMap((worker) => checkWorker(worker, name))];
}

function describeSilence(attempt: string, id: string | undefined, { logs, logsOf }: Origin): string {
  const log = id === undefined ? undefined : logsOf?.get(id);
  const instance = cut(id ?? "unknown");
  if (log !== undefined)
    return `${attempt}: ${log} is a log of instance ${instance}, but has no line of it: its completion is unknown (it ended before it wrote, or its lines were filtered or lost)`;
  const where = logs === undefined ? "" : `${countOf(logs, "log was", "logs were")} looked at, and `;
  return `${attempt}: ${where}there is no line of instance ${instance}: its completion is unknown (its log was not given, or its lines were filtered)`;
}

function checkWorker({ lines }: WorkerLines, attempt: string): Problem[] {
  const who = `instance ${cut(mostCommon(lines.map((line) => textOf(line, "instance_id"))) ?? "unknown")}`;
  const problems = checkTwice(`${who}, ${attempt},`, lines, ["worker received", "worker completed", "worker refused"]);
  const [received, completed, refused] = (["worker received", "worker completed", "worker refused"] as const).map(
    (event) => count(lines, event) > 0,
  );
  if (refused)
    return received || completed
      ? [...problems, contradiction(`${who} refused ${attempt} and worked on it`)]
      : problems;
  if (!received) problems.push(missing(`"request received" of ${who} for ${attempt}`));
  if (!completed) {
    problems.push(
      missing(
        `"request completed" of ${who} for ${attempt}: it was killed, its log is cut, or it still runs; its completion is unknown`,
      ),
    );
  }
  return problems;
}

function checkStray(worker: WorkerLines): Problem[] {
  const [line] = worker.lines;
  const parent = cut(mostCommon(worker.lines.map((line) => textOf(line, "parent_id"))) ?? "none");
  const who = `instance ${cut((line && textOf(line, "instance_id")) ?? "unknown")}`;
  const problem = missing(
    `the line of the attempt with span_id ${parent}: ${who} worked on it, but no frontend tells of it`,
  );
  return [problem, ...checkWorker(worker, `span ${parent}`)];
}

// The frontend compares the ids a worker says it saw by itself.
function checkWarning(line: LogLine): Problem[] {
  if (textOf(line, "message") !== "worker saw other ids than were sent") return [];
  return [
    contradiction(
      `the frontend noticed that the worker saw another ${cut(textOf(line, "mismatch") ?? "id")} (${line.place})`,
    ),
  ];
}
