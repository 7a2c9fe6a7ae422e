/** Does the tree hold together? Spans, instances, counts, tokens, statuses and durations; for trees from logs and from memory alike. */
import { listSome } from "../logs/lists.ts";
import { checkCompletion, checkNumbers } from "./attempts.ts";
import { checkClocks } from "./clocks.ts";
import { differ, nameOf, show } from "./words.ts";
import {
  contradiction,
  missing,
  walkAttempts,
  type AttemptNode,
  type Problem,
  type RequestNode,
  type RequestTree,
  type WorkerNode,
} from "../tree.ts";

type Tree = Omit<RequestTree, "problems">;

/** What is wrong with `tree`. What still runs is not missed. */
export function checkTree(tree: Tree): Problem[] {
  const { request, attempts, strays } = tree;
  const all = [...walkAttempts([...attempts, ...strays.flatMap((stray) => stray.attempts ?? [])])];
  return [
    ...all.flatMap((attempt) => checkWorkers(attempt, request)),
    ...(request ? checkRequest(request, attempts, tree.state) : []),
    ...checkCallers(request, attempts),
    ...checkNumbers(attempts),
    ...checkPrefill(attempts),
    ...all.flatMap(checkDurations),
    ...checkClocks(tree),
  ];
}

/** Whether workers saw the ids that were sent, where only their own words tell. */
export function checkSeen({ request_id, x_request_id, trace_id, attempts }: Tree): Problem[] {
  const sent = { request_id, x_request_id, trace_id };
  return [...walkAttempts(attempts)].flatMap(({ attempt, workers }) =>
    workers.flatMap((worker) =>
      (["request_id", "x_request_id", "trace_id"] as const)
        .filter((name) => worker[name] !== sent[name])
        .map((name) =>
          contradiction(
            `the worker of attempt ${attempt} saw ${name} ${worker[name] ?? "none"}, sent was ${sent[name] ?? "none"}`,
          ),
        ),
    ),
  );
}

function checkWorkers(attempt: AttemptNode, request: RequestNode | undefined): Problem[] {
  const { workers } = attempt;
  const name = nameOf(attempt);
  const problems = workers.flatMap((worker) => checkWorker(attempt, worker, request));
  if (workers.length > 1)
    problems.push(
      contradiction(
        `${name} ran ${workers.length} times: on ${listSome(workers.map(({ instance_id: id }) => show(id)))}`,
      ),
    );
  return problems;
}

function checkWorker(attempt: AttemptNode, worker: WorkerNode, request: RequestNode | undefined): Problem[] {
  const name = nameOf(attempt);
  const { span, instance } = sourcesOf(attempt, request);
  return [
    ...differ(`parent_id of the worker of ${name}`, worker.parent_id, span, attempt.span_id),
    ...differ(`instance_id of the worker of ${name}`, worker.instance_id, instance, attempt.worker_id),
    ...(worker.attempt === undefined
      ? []
      : differ(`attempt at the worker`, worker.attempt, "request.attempt", attempt.attempt)),
    ...checkStatus(name, attempt.outcome, worker.status),
  ];
}

// Where the ids of an attempt stand: without a line of its own, only in that of the request.
function sourcesOf(
  { span_id: span }: AttemptNode,
  request: RequestNode | undefined,
): { span: string; instance: string } {
  if (span !== undefined && span === request?.attempt_span_id)
    return { span: "attempt_span_id", instance: "the attempt's worker_id" };
  if (span !== undefined && span === request?.prefill_attempt_span_id)
    return { span: "prefill_attempt_span_id", instance: "prefill_worker_id" };
  return { span: "the attempt's span_id", instance: "the attempt's worker_id" };
}

// What one side calls a success the other must not call a failure. Who cancels or loses a connection may be too late, so those agree with anything.
function checkStatus(name: string, outcome: string | undefined, status: string | undefined): Problem[] {
  if (outcome === undefined || status === undefined) return [];
  const isFailure = ["error", "rejected", "unavailable"].includes(outcome);
  if ((outcome === "success") === (status === "success") || (outcome !== "success" && !isFailure)) return [];
  return [contradiction(`${name} is ${outcome} at the frontend, but ${status} at its worker`)];
}

function checkRequest(request: RequestNode, attempts: readonly AttemptNode[], state: RequestTree["state"]): Problem[] {
  const own = attempts.filter(({ caller_span_id: caller }) => caller === undefined);
  return [
    ...own.flatMap((attempt) =>
      differ(`parent_id of ${nameOf(attempt)}`, attempt.parent_id, "the http-request span_id", request.span_id),
    ),
    ...(state === "completed" ? checkCompletion(request, own) : []),
    ...own.flatMap((attempt) => checkLonger(nameOf(attempt), attempt.elapsed_ms, "the request", request.elapsed_ms)),
    ...own
      .filter(({ elapsed_ms: elapsed }) => elapsed === undefined)
      .flatMap((attempt) => checkWithin(attempt, "the request", request.elapsed_ms)),
  ];
}

// Programs that ask under an id they were given: the worker they run in must be known. Without a frontend the first one begins it all.
function checkCallers(request: RequestNode | undefined, attempts: readonly AttemptNode[]): Problem[] {
  const first = request ? undefined : attempts[0]?.caller_span_id;
  const strangers = attempts.filter(
    ({ caller_span_id: caller }) => caller !== first && (caller !== undefined || !request),
  );
  return strangers.map((attempt) =>
    missing(
      `lines of the span with caller_span_id ${show(attempt.caller_span_id)}, in which ${nameOf(attempt)} was made`,
    ),
  );
}

// A decode worker says which span did its prefill.
function checkPrefill(attempts: readonly AttemptNode[]): Problem[] {
  const workers = [...walkAttempts(attempts)].flatMap(({ workers }) => workers);
  const spans = new Set(workers.filter(({ disagg_role: role }) => role === "prefill").map(({ span_id: span }) => span));
  const decoders = workers.filter(
    ({ disagg_role: role, prefill_span_id: span }) => span !== undefined || (role === "decode" && spans.size > 0),
  );
  const known = listSome([...spans].map(show)) || "unknown";
  return decoders
    .map(({ prefill_span_id: span }) => span)
    .filter((span) => !spans.has(span))
    .map((span) =>
      contradiction(`prefill_span_id of the decode worker is ${show(span)}, but its prefill has span_id ${known}`),
    );
}

/** Clocks of two processes run at nearly the same rate, whatever they show. */
function longest(parentMs: number): number {
  return parentMs * 1.001 + 5;
}

function checkDurations(attempt: AttemptNode): Problem[] {
  return checkWithin(attempt, nameOf(attempt), attempt.elapsed_ms);
}

function checkWithin(attempt: AttemptNode, outer: string, outerMs: number | undefined): Problem[] {
  if (attempt.outcome !== "success") return []; // whoever is cancelled may need a while to notice
  return attempt.workers.flatMap((worker) =>
    checkLonger(`the worker of ${nameOf(attempt)}`, worker.elapsed_ms, outer, outerMs),
  );
}

function checkLonger(
  inner: string,
  innerMs: number | undefined,
  outer: string,
  outerMs: number | undefined,
): Problem[] {
  if (innerMs === undefined || outerMs === undefined || innerMs <= longest(outerMs)) return [];
  return [contradiction(`${inner} took ${innerMs} ms, longer than the ${outerMs} ms of ${outer}`)];
}
