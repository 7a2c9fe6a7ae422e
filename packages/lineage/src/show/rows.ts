/** From a tree to the rows of its picture: who, from when to when, and how it ended. */
import { countOf } from "@dyn/runtime/internal";
import { clockOffset, isOutside, toPeriod, type Period } from "../checks/clocks.ts";
import { formatMs } from "../terminal.ts";
import { parseTime } from "../logs/times.ts";
import type { AttemptNode, RequestNode, RequestTree, WorkerNode } from "../tree.ts";

/** Times are ms since the request began. */
export interface Row {
  readonly label: string;
  readonly startMs: number;
  /** Undefined: nobody knows. */
  readonly endMs: number | undefined;
  /** How far a bar goes whose end nobody knows. */
  readonly horizonMs: number | undefined;
  /** From its start to its first token. */
  readonly firstMs: number | undefined;
  readonly durationMs: number | undefined;
  readonly outcome: string;
  readonly remark: string;
}

/** Every span of `tree`, each below the one it belongs to; none if no time is known. */
export function toRows({ request, attempts, strays }: RequestTree): Row[] {
  const times = [
    beganAt(request),
    ...attempts.map(({ started_at, ended_at }) => parseTime(started_at ?? ended_at)),
    ...strays.map(({ received_at, ended_at }) => parseTime(received_at ?? ended_at)),
  ];
  const origin = times.find((time) => !Number.isNaN(time));
  if (origin === undefined) return [];
  return [
    ...(request ? [toRequestRow(request, origin)] : []),
    ...attempts.flatMap((attempt) =>
      toAttemptRows(attempt, { origin: originOf(attempt, origin, request), indent: "", request }),
    ),
    ...strays.flatMap((stray) => toWorkerRows(stray, undefined, { origin, indent: "", request: undefined })),
  ];
}

// "request received" is written once the body has been read; the clock of elapsed_ms began before.
function beganAt({ elapsed_ms: elapsed, received_at, ended_at }: RequestNode | WorkerNode = {}): number {
  const ended = parseTime(ended_at);
  return elapsed === undefined || Number.isNaN(ended) ? parseTime(received_at ?? ended_at) : ended - elapsed;
}

function since(origin: number, time: number): number | undefined {
  return Number.isNaN(time) ? undefined : time - origin;
}

function toRequestRow(request: RequestNode, origin: number): Row {
  return {
    label: "http request",
    startMs: since(origin, beganAt(request)) ?? 0,
    endMs: since(origin, parseTime(request.ended_at)),
    horizonMs: undefined,
    firstMs: request.ttft_ms,
    durationMs: request.elapsed_ms,
    outcome: request.status ?? "unknown",
    remark: request.http_status === undefined ? "" : `HTTP ${request.http_status}`,
  };
}

interface Place {
  /** The time that is 0, Unix time in ms. */
  readonly origin: number;
  readonly indent: string;
  /** What an attempt without times of its own lies in. */
  readonly request: RequestNode | undefined;
}

// If the clock was set while the request ran, an attempt goes to the middle of it, with all that lies below: there it was, more is not known.
function originOf(attempt: AttemptNode, origin: number, request: RequestNode | undefined): number {
  const [inner, outer] = [toPeriod(attempt), { start: origin, end: parseTime(request?.ended_at) }];
  const away = (inner.start + inner.end - outer.start - outer.end) / 2;
  return isOutside(inner, outer) && !Number.isNaN(away) ? origin + away : origin;
}

function toAttemptRows(attempt: AttemptNode, place: Place): Row[] {
  const { origin, indent, request } = place;
  const { started_at, ended_at, elapsed_ms: durationMs, outcome = "running", workers, sent } = attempt;
  const below = workers.flatMap((worker) => toWorkerRows(worker, attempt, { ...place, indent: `${indent}  ` }));
  const endMs = since(origin, parseTime(ended_at)) ?? below[0]?.endMs; // an attempt without a line was there at least while its worker worked
  const startMs = since(origin, parseTime(started_at)) ?? below[0]?.startMs ?? endMs ?? 0;
  const row: Row = {
    label: `${indent}└ attempt ${attempt.attempt ?? "?"} at ${attempt.worker_id ?? "?"}`,
    startMs,
    endMs,
    horizonMs: since(origin, toPeriod(attempt, request).end),
    firstMs: undefined,
    durationMs,
    outcome,
    remark: sent ? "" : "never sent",
  };
  if (sent && workers.length === 0) {
    const unknown = {
      endMs: undefined,
      horizonMs: row.endMs ?? row.horizonMs,
      durationMs: undefined,
      outcome: "unknown",
      remark: "no log",
    };
    return [row, { ...row, ...unknown, label: `${indent}  └ worker` }];
  }
  return [row, ...below];
}

function toWorkerRows(worker: WorkerNode, attempt: AttemptNode | undefined, { origin, indent, request }: Place): Row[] {
  const period = attempt && toPeriod(attempt, request);
  const offset = attempt && period ? clockOffset(attempt, worker, period) : 0;
  const startMs = since(origin, startOf(worker, period, offset)) ?? 0;
  const { elapsed_ms: durationMs, status = "unknown" } = worker;
  const address = [worker.namespace, worker.component, worker.endpoint].flatMap((part) => part ?? []).join("/");
  const who = attempt ? "worker" : `worker ${worker.instance_id ?? "?"} without attempt`;
  const row: Row = {
    label: `${indent}└ ${who} ${attempt ? address : ""}`.trimEnd(),
    startMs,
    endMs: status === "refused" ? startMs : durationMs && startMs + durationMs,
    horizonMs: period && since(origin, period.end),
    firstMs: worker.ttft_ms,
    durationMs,
    outcome: status,
    remark: remarkOn(worker, offset),
  };
  return [
    row,
    ...(worker.attempts ?? []).flatMap((inner) =>
      toAttemptRows(inner, { origin, indent: `${indent}  `, request: undefined }),
    ),
  ];
}

function remarkOn({ items, resumed_tokens: resumed }: WorkerNode, offset: number): string {
  const remarks = [
    ...(items === undefined ? [] : [countOf(items, "item")]),
    ...(resumed === undefined ? [] : [`after ${countOf(resumed, "token")}`]),
    ...(offset === 0 ? [] : [`clock ${offset < 0 ? "-" : "+"}${formatMs(Math.abs(offset))}`]),
  ];
  return remarks.join(", ");
}

// With a clock that is off, the bar goes to the middle of its attempt: there it was, more is not known.
function startOf(worker: WorkerNode, period: Period | undefined, offset: number): number {
  const start = beganAt(worker);
  if (!period || (offset === 0 && !Number.isNaN(start))) return start;
  return ((Number.isNaN(period.start) ? period.end : period.start) + period.end - (worker.elapsed_ms ?? 0)) / 2;
}
