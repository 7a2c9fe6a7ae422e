/** The attempts of a request: numbered from 0, and those that its last line counts, names and has its tokens from. */
import { countOf } from "@dyn/runtime/internal";
import { contradiction, missing, note, type AttemptNode, type Problem, type RequestNode } from "../tree.ts";
import { differ, nameOf, show } from "./words.ts";

/** What the frontend's last line says of its `attempts`, those that no worker made. */
export function checkCompletion(request: RequestNode, attempts: readonly AttemptNode[]): Problem[] {
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
  if (request.model?.startsWith("dyn://") === true) return []; // an exposed endpoint is no model: the frontend counts no tokens of it
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

/** A second try has a first one. */
export function checkNumbers(attempts: readonly AttemptNode[]): Problem[] {
  return toChains(attempts).flatMap((chain) =>
    chain.flatMap(({ attempt }, index) =>
      attempt === undefined || attempt === index
        ? []
        : [missing(`attempt ${index}: in its place stands attempt ${attempt}`)],
    ),
  );
}
