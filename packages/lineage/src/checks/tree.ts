/** Does the tree hold together? Spans, instances, counts, tokens, statuses and durations; for trees from logs and from memory alike. */
import { countOf } from "@dyn/runtime/internal";
import { listSome } from "../logs/lists.ts";
import { checkClocks } from "./clocks.ts";
import {
  contradiction,
  missing,
  note,
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

function differ(what: string, value: Fact, than: string, expected: Fact): Problem[] {
  return value === expected ? [] : [contradiction(`${what} is ${show(value)}, but ${than} is ${show(expected)}`)];
}

type Fact = string | number | undefined;

function show(value: Fact): string {
  return value === undefined ? "absent" : String(value);
}

function nameOf({ attempt, worker_id: worker }: AttemptNode): string {
  return `attempt ${attempt ?? "?"} at ${show(worker)}`;
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

function checkCompletion(request: RequestNode, attempts: readonly AttemptNode[]): Problem[] {
  const { attempts: count, status, outcome } = request;
  const chains = toChains(attempts);
  const problems = [
    ...checkNamedWorkers(request, chains),
    ...checkNamedSpans(request, chains),
    ...checkTokens(request, attempts),
  ];
  if (count === undefined)
    problems.push(missing(`the frontend's "request completed" does not say how many attempts there were`));
  else if (attempts.length !== count) {
    const message = `the frontend counts ${countOf(count, "attempt")}, but its lines tell of ${attempts.length}`;
    problems.push(attempts.length < count ? missing(message) : contradiction(message));
  } else if (count === 0 && status === "success")
    problems.push(contradiction("the request is a success, but no worker was asked"));
  if (outcome !== undefined && outcome !== status)
    problems.push(contradiction(`the stream ended with ${outcome}, but the status of the request is ${show(status)}`));
  if (status === "success") problems.push(...chains.flatMap((chain) => checkLast(chain.at(-1))));
  return problems;
}

// A worker may be lost once all it had to say has arrived; who was never heard cannot have made it a success.
function checkLast(last: AttemptNode | undefined): Problem[] {
  if (!last || last.outcome === undefined || last.outcome === "success") return [];
  const text = `the request is a success, but ${nameOf(last)}, the last one, is ${last.outcome}`;
  if (["cancelled", "connection_failed", "rejected"].includes(last.outcome)) return [contradiction(text)];
  return [note(`${text}: it failed after all of the answer had arrived`)];
}

// A retry has the next number; what begins at 0 again is another question: the prompt for a prefill worker, then its result for a decode worker.
function toChains(attempts: readonly AttemptNode[]): AttemptNode[][] {
  const chains: AttemptNode[][] = [];
  for (const attempt of attempts) {
    const chain = chains.at(-1);
    if (attempt.attempt === 0 || !chain) chains.push([attempt]);
    else chain.push(attempt);
  }
  return chains;
}

function checkNamedWorkers(request: RequestNode, chains: readonly (readonly AttemptNode[])[]): Problem[] {
  const [first, last] = [chains[0]?.at(-1)?.worker_id, chains.at(-1)?.at(-1)?.worker_id];
  const { worker_id: worker, prefill_worker_id: prefill, decode_worker_id: decode } = request;
  const isOnlyPrefill =
    chains.length === 1 &&
    worker === undefined &&
    decode === undefined &&
    prefill !== undefined &&
    request.status !== "success";
  const answering = isOnlyPrefill ? undefined : last;
  return [
    ...differ("worker_id of the request", worker, "its last attempt's", answering),
    ...differ(
      "prefill_worker_id of the request",
      prefill,
      chains.length > 1 ? "its first worker" : "its last attempt's worker_id",
      first,
    ),
    ...differ("decode_worker_id of the request", decode, "its last attempt's worker_id", answering),
  ];
}

// Frontends that do not name them yet write a line for every attempt.
function checkNamedSpans(request: RequestNode, chains: readonly (readonly AttemptNode[])[]): Problem[] {
  const [first, last] = [chains[0]?.at(-1)?.span_id, chains.at(-1)?.at(-1)?.span_id];
  const { attempt_span_id: span, prefill_attempt_span_id: prefill } = request;
  return [
    ...(span === undefined ? [] : differ("attempt_span_id of the request", span, "its last attempt's span_id", last)),
    ...(prefill === undefined
      ? []
      : differ("prefill_attempt_span_id of the request", prefill, "its first attempt's span_id", first)),
  ];
}

function checkTokens(request: RequestNode, attempts: readonly AttemptNode[]): Problem[] {
  const last = attempts.at(-1);
  const worker = last?.workers[0];
  if (request.status !== "success" || last?.outcome !== "success") return checkPartialTokens(request, attempts);
  const names = ["input_tokens", "output_tokens"] as const;
  const counted = names.filter((name) => worker?.[name] !== undefined); // an endpoint of one's own may count none
  return counted.flatMap((name) =>
    differ(`${name} at the frontend`, request[name], "at the worker it", worker?.[name]),
  );
}

// What was cut short may have lost tokens on the way, but cannot have gained any.
function checkPartialTokens({ output_tokens: got }: RequestNode, attempts: readonly AttemptNode[]): Problem[] {
  const workers = attempts.flatMap(({ workers }) => workers);
  const sent = workers.map(({ output_tokens: tokens }) => tokens).filter((tokens) => tokens !== undefined);
  if (got === undefined || sent.length < Math.max(1, attempts.filter((attempt) => attempt.sent).length)) return [];
  const sum = sent.reduce((total, tokens) => total + tokens, 0);
  return got <= sum
    ? []
    : [contradiction(`output_tokens at the frontend is ${got}, but all workers together sent ${sum}`)];
}

// A second try has a first one.
function checkNumbers(attempts: readonly AttemptNode[]): Problem[] {
  return toChains(attempts).flatMap((chain) =>
    chain.flatMap(({ attempt }, index) =>
      attempt === undefined || attempt === index
        ? []
        : [missing(`attempt ${index}: in its place stands attempt ${attempt}`)],
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
