/** The tree of a request that was kept, for whoever asks. */
import { formatTime, roundMs } from "@dyn/runtime/internal";
import type { KeptAttempt, KeptError, KeptRequest } from "./kept.ts";
import { toReported } from "./logs/reported.ts";
import {
  toRequestFacts,
  toWorkerFacts,
  type AttemptNode,
  type RequestNode,
  type RequestTree,
  type WorkerNode,
} from "./tree.ts";

/** As it is shown to somebody who sees errors as the log has them, with addresses (`seesAll`), or as clients were told. `now`: a reading of the history's clock. */
export function toTree(kept: KeptRequest, seesAll: boolean, now: number): Omit<RequestTree, "problems"> {
  const { identity, clockOffset, endedAt } = kept;
  const { requestId, xRequestId, trace } = identity;
  const toTime = (at: number): string => formatTime(at + clockOffset);
  const toText = (error: KeptError | undefined): string | undefined =>
    seesAll ? error?.message : error?.publicMessage;
  return {
    request_id: requestId,
    ...(xRequestId !== undefined && { x_request_id: xRequestId }),
    trace_id: trace.traceId,
    state: endedAt === undefined ? "running" : "completed",
    request: toRequestNode(kept, { error: toText(kept.error), seesAll, toTime, now }),
    attempts: kept.attempts.map((attempt) => toAttemptNode(attempt, toText(attempt.error), identity, toTime)),
    strays: [],
  };
}

type ToTime = (at: number) => string;

interface Shown {
  readonly error: string | undefined;
  /** Facts that an engine has reported are for operators: they may name anything. */
  readonly seesAll: boolean;
  readonly toTime: ToTime;
  readonly now: number;
}

function toRequestNode(kept: KeptRequest, { error, seesAll, toTime, now }: Shown): RequestNode {
  const { facts, startedAt, respondedAt, httpStatus, endedAt, identity } = kept;
  const { spanId: span_id, parentId: parent_id } = identity.trace;
  const { status } = facts;
  const sofar = { elapsed_ms: roundMs(now - startedAt), attempts: kept.attempts.length };
  return {
    ...toRequestFacts({
      endpoint: kept.endpoint,
      model: kept.model,
      model_requested: kept.modelRequested,
      request_type: kept.requestType,
      method: kept.method,
      uri: kept.uri,
      ...facts,
      ...(endedAt === undefined && sofar),
      error,
      span_id,
      parent_id,
    }),
    ...(seesAll && toReported(facts)),
    received_at: toTime(startedAt),
    ...(respondedAt !== undefined && { responded_at: toTime(respondedAt) }),
    ...(httpStatus !== undefined && { http_status: httpStatus }),
    ...(endedAt !== undefined && { ended_at: toTime(endedAt) }),
    ...(typeof status === "string" && { status }),
  };
}

function toAttemptNode(
  attempt: KeptAttempt,
  error: string | undefined,
  ids: KeptRequest["identity"],
  toTime: ToTime,
): AttemptNode {
  const { number, instanceId, spanId, startedAt, endedAt, isSent, outcome, errorType } = attempt;
  return {
    attempt: number,
    span_id: spanId,
    parent_id: ids.trace.spanId,
    worker_id: instanceId,
    started_at: toTime(startedAt),
    ...(endedAt !== undefined && { ended_at: toTime(endedAt), elapsed_ms: roundMs(endedAt - startedAt) }),
    ...(outcome !== undefined && { outcome }),
    ...(errorType !== undefined && { error_type: errorType }),
    ...(error !== undefined && { error }),
    sent: isSent,
    workers: toWorkerNodes(attempt, ids),
  };
}

// The worker's own words: taken for nothing but what they are.
function toWorkerNodes(
  { worker, spanId, instanceId, number }: KeptAttempt,
  ids: KeptRequest["identity"],
): readonly WorkerNode[] {
  if (!worker) return [];
  const sent = {
    request_id: ids.requestId,
    x_request_id: ids.xRequestId,
    trace_id: ids.trace.traceId,
    parent_id: spanId,
    instance_id: instanceId,
    attempt: number,
    span_id: worker.spanId,
  };
  const { items, elapsedMs: elapsed_ms, ttftMs: ttft_ms } = worker;
  return [toWorkerFacts({ ...(worker.seen ?? sent), items, elapsed_ms, ttft_ms })];
}
