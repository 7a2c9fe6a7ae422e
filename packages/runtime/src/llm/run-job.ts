/** Runs the engine of a model: once for each completion of a job, within what the job allows. */
import { toItems } from "../given-items.ts";
import { partsOf, type RequestContext } from "../handler.ts";
import { RuntimeError } from "../errors.ts";
import { toHandlerError } from "../thrown.ts";
import type { Logger } from "../logging/logger.ts";
import type { Tracer } from "../trace/spans.ts";
import { createRuns, mergeChoices, type Run } from "./choices.ts";
import type { Delta, Engine, ModelJob, ModelRequest, Usage, WorkerRole } from "./contract.ts";
import { openEngineSpan } from "./engine-span.ts";
import { enforceLimits, type CompletionState } from "./limits.ts";
import type { CountForUsage } from "./prompt-count.ts";
import { sumUsage } from "./usage.ts";

/** A model that is served. */
export interface Served {
  readonly model: string;
  readonly role: WorkerRole;
  readonly engine: Engine;
  readonly tracer: Tracer;
  /** Undefined if the runtime counts. */
  readonly countPrompt: CountForUsage | undefined;
  /** Half of a character became U+FFFD. */
  readonly onLone: (log: Logger) => void;
}

/** Says once that half of a character became U+FFFD: an engine that does it does it often. */
export function createLoneNotice(model: string): (log: Logger) => void {
  let hasTold = false;
  return (log) => {
    if (hasTold) return;
    hasTold = true;
    log
      .child({ target: "dyn_runtime::llm" })
      .warn({ model }, "the engine yielded half of a surrogate pair, sent as U+FFFD; this is said once");
  };
}

// A prefill worker ends with its result, however few tokens the completion may have.
function toLimited(request: ModelRequest, role: WorkerRole): ModelRequest {
  const { maxTokens: _, ...prompt } = request;
  return role === "prefill" ? prompt : request;
}

/** Deltas of all completions of a job, marked with their choice; the last one has the usage. */
export async function* runJob(job: ModelJob, served: Served, outer: RequestContext): AsyncGenerator<Delta, void, void> {
  const { engine, countPrompt } = served;
  const span = openEngineSpan(outer, served.tracer);
  const { context } = span;
  let counting: RequestContext = context;
  const runs = createRuns(job, partsOf(context).clock, countPrompt && ((request) => countPrompt(request, counting)));
  const states = runs.map(({ state }) => state);
  const start = ({ request, state }: Run, seen: RequestContext): AsyncIterable<Delta> => {
    const run = (): AsyncIterable<Delta> => span.within(() => toItems(engine(request, seen)));
    return enforceLimits(toLimited(request, served.role), run, state, () => served.onLone(partsOf(seen).logger()));
  };
  let failure: RuntimeError | undefined;
  try {
    const [first, ...others] = runs;
    if (first && others.length === 0 && !job.begun?.[0]?.isFinished) return yield* start(first, context);
    const aborter = new AbortController();
    const inner = { ...context, signal: AbortSignal.any([context.signal, aborter.signal]) };
    partsOf(context).scope.inherited = inner;
    counting = inner; // its hooks end with the choices
    const choices = new Map<number, AsyncIterable<Delta>>();
    for (const [index, each] of runs.entries()) {
      if (job.begun?.[index]?.isFinished) finish(each);
      else choices.set(index, start(each, inner));
    }
    yield* mergeChoices(choices, {
      begin: () => context.places.take(inner.signal),
      stop: () => aborter.abort(new RuntimeError("cancelled", "another choice of the request has failed")),
    });
    yield { text: "", usage: toUsage(states, job) };
  } catch (error) {
    failure = toHandlerError(error);
    throw error;
  } finally {
    const facts = toFacts(served, states, job);
    partsOf(outer).note({ ...facts, engine_span_id: span.spanId });
    span.end(failure, facts, job);
  }
}

// A choice that another worker has finished: only its share of the usage is wanted.
function finish({ request, state }: Run): void {
  state.count.outputTokens = request.generated?.tokens ?? 0;
  state.count.reasoningTokens = request.generated?.reasoningTokens ?? 0;
}

function toUsage(states: readonly CompletionState[], { n = 1 }: ModelJob): Usage {
  return sumUsage(
    states.map(({ count }) => count),
    n,
  );
}

function toFacts(
  { model, role }: Served,
  states: readonly CompletionState[],
  job: ModelJob,
): Record<string, string | number> {
  const { prefill, begun } = job;
  const usage = toUsage(states, job);
  const reasons = new Set(states.map(({ finishReason }) => finishReason));
  const [reason] = reasons;
  return {
    model,
    output_tokens: usage.completionTokens,
    input_tokens: usage.promptTokens,
    ...(usage.reasoningTokens !== undefined && { reasoning_tokens: usage.reasoningTokens }),
    ...(reason !== undefined && reasons.size === 1 && { finish_reason: reason }),
    ...(states.length > 1 && { choices: states.length }),
    ...(role !== "aggregated" && { disagg_role: role }),
    ...(begun && { resumed_tokens: begun.reduce((sum, { tokens }) => sum + tokens, 0) }),
    ...(prefill?.spanId !== undefined && { prefill_span_id: prefill.spanId }),
  };
}
