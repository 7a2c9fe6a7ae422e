/** What is kept of a request that is over: nothing of it is long, and nothing else is kept alive by it. */
import type { AttemptReport, Fields, RuntimeError } from "@dyn/runtime";
import { roundMs, toPublicMessage } from "@dyn/runtime/internal";
import { cut, toWorkerFacts, type AttemptNode, type WorkerNode } from "./tree.ts";

export interface KeptAttempt {
  readonly report: Omit<AttemptReport, "failure" | "trailer">;
  readonly errorType: string | undefined;
  readonly error: KeptError | undefined;
  readonly worker: WorkerNode | undefined;
}

/** What went wrong, in the words of the log and in those for clients. */
export interface KeptError {
  readonly message: string;
  readonly publicMessage: string;
}

/** Copies of all texts: a short one may be a slice of a long one. */
export function keepTexts(fields: Fields): Fields {
  const kept: Record<string, unknown> = {};
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    kept[name] = typeof value === "string" ? cut(value) : value;
  }
  return kept;
}

/** Most attempts of one request that are kept. */
const maxAttempts = 16;

/** The last ones, one list per worker asked. */
export function keepAttempts(routes: readonly (readonly Readonly<AttemptReport>[])[]): KeptAttempt[] {
  return routes.flat().slice(-maxAttempts).map(keepAttempt);
}

// Name by name: "all the others" costs several times as much.
function keepAttempt(attempt: Readonly<AttemptReport>): KeptAttempt {
  const { number, workerId, spanId, startedAt, endedAt, isSent, outcome, failure, trailer } = attempt;
  return {
    report: { number, workerId, spanId, startedAt, endedAt, isSent, outcome },
    errorType: failure?.code,
    error: keepError(failure),
    worker: trailer.seen && toWorkerNode(trailer),
  };
}

/** Both texts, which are the same as a rule. */
export function keepError(failure: RuntimeError | undefined): KeptError | undefined {
  if (!failure) return undefined;
  const message = cut(failure.message);
  const said = toPublicMessage(failure);
  return { message, publicMessage: said === failure.message ? message : cut(said) };
}

type ToTime = (at: number) => string;

/** As it is shown, with `error` as its reader may have it. */
export function toAttemptNode(
  { report, errorType, worker }: KeptAttempt,
  error: string | undefined,
  parentId: string,
  toTime: ToTime,
): AttemptNode {
  const { number, workerId, spanId, startedAt, endedAt, isSent, outcome } = report;
  return {
    attempt: number,
    span_id: spanId,
    parent_id: parentId,
    worker_id: workerId,
    started_at: toTime(startedAt),
    ...(endedAt !== undefined && { ended_at: toTime(endedAt), elapsed_ms: roundMs(endedAt - startedAt) }),
    ...(outcome !== undefined && { outcome }),
    ...(errorType !== undefined && { error_type: errorType }),
    ...(error !== undefined && { error }),
    sent: isSent,
    workers: worker ? [worker] : [],
  };
}

// The worker's own words: taken for nothing but what they are.
function toWorkerNode({ seen, items, elapsed_ms, ttft_ms }: AttemptReport["trailer"]): WorkerNode {
  return toWorkerFacts({ ...seen, items, elapsed_ms, ttft_ms });
}
