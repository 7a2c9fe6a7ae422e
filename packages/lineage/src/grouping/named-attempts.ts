/** Attempts without a line: the one that answers is named by `request completed`, and only those that failed have a line at INFO. */
import { textOf, type LogLine } from "../logs/lines.ts";
import type { AttemptNode, RequestNode } from "../tree.ts";

type Fields = LogLine["fields"];

/** The one at a prefill worker comes first. */
const names = [
  { span: "prefill_attempt_span_id", worker: "prefill_worker_id" },
  { span: "attempt_span_id", worker: "worker_id" },
] as const;

/** Spans of attempts that a line names. */
export function namedSpans(line: LogLine): string[] {
  return line.event === "request completed" ? names.flatMap(({ span }) => textOf(line, span) ?? []) : [];
}

/** What is known of attempts that must have been, in the fields of an attempt's line. `written`: the fields of those that have one. */
export function nameAttempts(lines: readonly LogLine[], written: readonly Fields[]): Fields[] {
  const completed = lines.find(({ event }) => event === "request completed");
  const count = completed?.fields["attempts"];
  if (!completed || typeof count !== "number") return [];
  const { fields } = completed;
  const own = written.filter(({ caller_span_id: caller }) => caller === undefined);
  const known = new Set(own.map(({ span_id: span }) => span));
  const wanted = names.filter(({ span }) => typeof fields[span] === "string" && !known.has(fields[span]));
  const found = wanted
    .slice(0, Math.max(0, count - own.length))
    .map(({ span, worker }) => toFields(fields, span, worker));
  const isUnsent =
    fields["status"] === "cancelled" &&
    fields["attempt_span_id"] === undefined &&
    own.length + found.length === count - 1;
  if (!isUnsent) return found;
  const { worker } = names.findLast(({ worker }) => fields[worker] !== undefined) ?? names[1];
  return [...found, { ...toFields(fields, undefined, worker), "request.sent": false }];
}

function toFields(request: Fields, span: string | undefined, worker: string): Fields {
  const { attempts, status, span_id: parent, prefill_attempt_span_id: prefill, worker_id: answering } = request;
  const [spanId, workerId] = [span === undefined ? undefined : request[span], request[worker]];
  const isOver = status === "success" || (worker === "prefill_worker_id" && answering !== undefined);
  return {
    ...(spanId !== undefined && { span_id: spanId }),
    ...(parent !== undefined && { parent_id: parent }),
    ...(workerId !== undefined && { worker_id: workerId }),
    "request.outcome": isOver ? "success" : status === "cancelled" ? "cancelled" : "unknown",
    // Numbers begin anew at the second worker: its own lines tell.
    ...(prefill === undefined && { "request.attempt": Number(attempts) - 1 }),
  };
}

/** All attempts in their order: `written` has those with a line, by time. Clocks differ, so the others are put where their number says. */
export function orderAttempts(
  written: readonly AttemptNode[],
  named: readonly AttemptNode[],
  request: RequestNode | undefined,
): AttemptNode[] {
  const ordered = [...written];
  for (const attempt of named) {
    const isPrefill = attempt.span_id !== undefined && attempt.span_id === request?.prefill_attempt_span_id;
    ordered.splice(isPrefill ? (attempt.attempt ?? 0) : ordered.length, 0, attempt);
  }
  return ordered;
}
