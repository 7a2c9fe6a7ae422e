/** Requests that workers make themselves under the id they were given: their attempts lie below the worker. */
import type { AttemptNode, WorkerNode } from "../tree.ts";

export interface Nest {
  /** Attempts that no worker made. */
  readonly outer: readonly AttemptNode[];
  /** The attempt with everything below it. */
  readonly fillAttempt: (attempt: AttemptNode) => AttemptNode;
  /** The worker with everything below it. */
  readonly fillWorker: (worker: WorkerNode) => WorkerNode;
  /** What has got no place so far: attempts that lie below each other in a circle, or too deep. */
  rest(): readonly AttemptNode[];
}

/** The spans in which a worker makes requests of its own: the handler's and the engine's. */
const workerSpans = ["span_id", "engine_span_id"] as const;
/** Workers above each other. */
const maxDepth = 16;

/** Sort `attempts` by the one of `workers` that made them. Each gets one place, whatever the spans say. */
export function createNest(attempts: readonly AttemptNode[], workers: readonly WorkerNode[]): Nest {
  const spans = new Set(workers.flatMap(spansOf));
  const isInner = ({ caller_span_id: caller }: AttemptNode): boolean => caller !== undefined && spans.has(caller);
  const left = Map.groupBy(attempts.filter(isInner), ({ caller_span_id: caller }) => caller);
  const take = (span: string): readonly AttemptNode[] => {
    const own = left.get(span) ?? [];
    left.delete(span);
    return own;
  };
  const fillAttempt = (attempt: AttemptNode, depth: number): AttemptNode => ({
    ...attempt,
    workers: attempt.workers.map((worker) => fillWorker(worker, depth)),
  });
  const fillWorker = (worker: WorkerNode, depth: number): WorkerNode => {
    const own = depth > maxDepth ? [] : spansOf(worker).flatMap(take);
    return own.length > 0 ? { ...worker, attempts: own.map((attempt) => fillAttempt(attempt, depth + 1)) } : worker;
  };
  return {
    outer: attempts.filter((attempt) => !isInner(attempt)),
    fillAttempt: (attempt) => fillAttempt(attempt, 0),
    fillWorker: (worker) => fillWorker(worker, 0),
    rest: () => [...left.values()].flat(),
  };
}

function spansOf(worker: WorkerNode): string[] {
  return workerSpans.flatMap((name) => worker[name] ?? []);
}
