/** Serve a model: publish its endpoint and its card, and hold the engine to what requests ask. */
import { countCharacters } from "../counts.ts";
import { isModelName, maxModelNameLength, parseAddress, toSlug, type ModelRecord } from "../discovery/records.ts";
import type { Serving } from "../endpoint.ts";
import type { RequestLimit } from "../ingress/request-limit.ts";
import { once } from "../lifetime.ts";
import { toItems } from "../given-items.ts";
import { partsOf, type RequestContext } from "../handler.ts";
import { RuntimeError } from "../errors.ts";
import { describeValue } from "../excerpt.ts";
import { toHandlerError } from "../thrown.ts";
import { loggerOf, type Logger } from "../logging/logger.ts";
import type { Runtime } from "../runtime.ts";
import { assertFunction, assertWhole, refuseOthers, type OptionNames } from "../settings/options.ts";
import type { Tracer } from "../trace/spans.ts";
import { encodeDeltaItem } from "../wire/items.ts";
import { createRuns, mergeChoices, type Run } from "./choices.ts";
import type { Delta, Engine, ModelJob, ModelRequest, Usage, WorkerRole } from "./contract.ts";
import { openEngineSpan } from "./engine-span.ts";
import { checkJob } from "./job-check.ts";
import { enforceLimits, type CompletionState } from "./limits.ts";
import { sumUsage } from "./usage.ts";

// What must be there besides for a model to be served, in the form of Dynamo's cards.
const needs: Readonly<Record<WorkerRole, readonly unknown[]>> = {
  aggregated: [],
  prefill: [["decode"]],
  decode: [["prefill"]],
};

export interface ServeModelOptions {
  /** Name clients use; any text of 1 to 256 characters. */
  readonly model: string;
  /** Default `dyn://dynamo.backend.generate`, for prefill workers `dyn://dynamo.prefill.generate`, as Dynamo's. */
  readonly endpoint?: string;
  /** What this worker does of a request. Default `aggregated`: all of it. A `prefill` engine ends with a delta that has `prefillResult`. */
  readonly role?: WorkerRole;
  /** How often a request may go on at another worker after one has failed. Above 0 the engine must go on after `request.generated`. Default 0. */
  readonly migrationLimit?: number;
  /** Tokens of prompt and completion together, shown by `/v1/models`. Default 0: none are shown. */
  readonly contextLength?: number;
  /** Completions the engine can run at a time, of all requests together; the lower of this and `--engine-request-limit` holds. A request for more has them
   *  made one after the other, in turn with other requests. Default 0: no limit of its own. */
  readonly requestLimit?: number;
  /** Places and a queue that it shares with other endpoints, made by `runtime.limit()`; in place of `requestLimit`. Default: those are its own. */
  readonly limit?: RequestLimit;
  /** What callers may choose this instance by, as of `serve`. Default: none. */
  readonly labels?: Readonly<Record<string, string>>;
}

const modelOptions: OptionNames<ServeModelOptions> = {
  model: true,
  endpoint: true,
  role: true,
  migrationLimit: true,
  contextLength: true,
  requestLimit: true,
  limit: true,
};

/** Resolves once the model is registered. @throws RuntimeError `invalid_argument` on a bad name or address. */
export async function serveModel(runtime: Runtime, options: ServeModelOptions, engine: Engine): Promise<Serving> {
  const { model, role = "aggregated", contextLength = 0, migrationLimit = 0, requestLimit = 0, ...rest } = options;
  const {
    labels = {},
    limit,
    endpoint = role === "prefill" ? "dyn://dynamo.prefill.generate" : "dyn://dynamo.backend.generate",
    ...others
  } = rest;
  refuseOthers(others, modelOptions);
  checkName(model);
  checkRole(role);
  assertWhole("contextLength", contextLength, 0);
  assertWhole("migrationLimit", migrationLimit, 0);
  assertFunction("the engine", engine);
  const address = parseAddress(endpoint);
  const served: Served = { model, role, engine, tracer: runtime.tracer, onLone: createLoneNotice(model) };
  const serving = await runtime
    .endpoint(endpoint)
    .serve<ModelJob, Delta>((job, context) => runJob(checkJob(job, role), served, context), {
      encodeItem: encodeDeltaItem,
      countTokens: () => 0, // each delta is counted as the engine gives it
      model,
      requestLimit,
      ...(limit !== undefined && { limit }),
      labels,
      idempotent: true, // nobody is harmed by text that is generated twice
    });
  const record: ModelRecord = {
    type: "Model",
    ...address,
    instance_id: BigInt(serving.instanceId),
    card_json: {
      display_name: model,
      slug: toSlug(model),
      context_length: contextLength,
      kv_cache_block_size: 16,
      migration_limit: migrationLimit,
      model_type: role === "prefill" ? "" : "Chat | Completions",
      model_input: "Text",
      worker_type: role,
      needs: needs[role],
      runtime_config: {},
      dyn_created: Math.floor(Date.now() / 1000),
    },
  };
  const card = await publishCard(runtime, record, serving);
  loggerOf(runtime.log)
    .child({ target: "dyn_runtime::llm" })
    .info({ model, role, endpoint, instance_id: serving.instanceId }, "model is serving");
  // A drain of the whole runtime knows the endpoint only: the model must not stay listed while it lasts.
  const onDrain = (): void => void withdraw(card, runtime);
  runtime.draining.addEventListener("abort", onDrain, { once: true });
  const close = once(() => {
    runtime.draining.removeEventListener("abort", onDrain);
    void withdraw(card, runtime).then(() => void serving.close());
    return serving.closed;
  });
  return { ...serving, close, [Symbol.asyncDispose]: close };
}

// Programs may give anything.
function checkName(model: unknown): void {
  if (isModelName(model)) return;
  const got = typeof model === "string" ? `${countCharacters(model)}` : describeValue(model);
  throw new RuntimeError(
    "invalid_argument",
    `model must be a name of 1 to ${maxModelNameLength} characters, got ${got}`,
  );
}

function checkRole(role: WorkerRole): void {
  if (Object.hasOwn(needs, role)) return;
  throw new RuntimeError(
    "invalid_argument",
    `role must be one of ${Object.keys(needs).join(", ")}, got ${describeValue(role)}`,
  );
}

// An endpoint without its card is a model that nobody finds.
async function publishCard(runtime: Runtime, record: ModelRecord, serving: Serving): Promise<AsyncDisposable> {
  try {
    return await runtime.discovery.publish(record);
  } catch (error) {
    await serving.close();
    throw error;
  }
}

async function withdraw(card: AsyncDisposable, { log }: Runtime): Promise<void> {
  try {
    await card[Symbol.asyncDispose]();
  } catch (error) {
    loggerOf(log).child({ target: "dyn_runtime::llm" }).warn({ error }, "model card could not be withdrawn");
  }
}

interface Served {
  readonly model: string;
  readonly role: WorkerRole;
  readonly engine: Engine;
  readonly tracer: Tracer;
  /** Half of a character became U+FFFD. */
  readonly onLone: (log: Logger) => void;
}

// Once: an engine that does it does it often.
function createLoneNotice(model: string): (log: Logger) => void {
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

async function* runJob(job: ModelJob, served: Served, outer: RequestContext): AsyncGenerator<Delta, void, void> {
  const { engine } = served;
  const span = openEngineSpan(outer, served.tracer);
  const { context } = span;
  const runs = createRuns(job, partsOf(context).clock);
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
    ...(reason !== undefined && reasons.size === 1 && { finish_reason: reason }),
    ...(states.length > 1 && { choices: states.length }),
    ...(role !== "aggregated" && { disagg_role: role }),
    ...(begun && { resumed_tokens: begun.reduce((sum, { tokens }) => sum + tokens, 0) }),
    ...(prefill?.spanId !== undefined && { prefill_span_id: prefill.spanId }),
  };
}
