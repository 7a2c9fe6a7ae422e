/** Serve a model: publish its endpoint and its card, and hold the engine to what requests ask. */
import { parseAddress, toSlug, type ModelRecord } from "../discovery/records.ts";
import type { Serving } from "../endpoint.ts";
import type { RequestContext } from "../engine.ts";
import { RuntimeError } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";
import type { Runtime } from "../runtime.ts";
import { encodeDeltaItem } from "../wire/items.ts";
import { isMap } from "../wire/payload.ts";
import { mergeChoices, toRequests } from "./choices.ts";
import type { Delta, Engine, ModelJob, Usage } from "./contract.ts";
import { createTally, enforceLimits, tokensOf, type Tally } from "./limits.ts";

/** Most completions one job may ask for. */
export const maxChoices = 1_024;

export interface ServeModelOptions {
  /** Name clients use; any text of 1 to 256 characters. */
  readonly model: string;
  /** Default `dyn://dynamo.backend.generate`, as Dynamo's workers. */
  readonly endpoint?: string;
  /** Tokens of prompt and completion together, shown by `/v1/models`. */
  readonly contextLength?: number;
}

/** Resolves once the model is registered. @throws RuntimeError `invalid_argument` on a bad name or address. */
export async function serveModel(runtime: Runtime, options: ServeModelOptions, engine: Engine): Promise<Serving> {
  const { model, endpoint = "dyn://dynamo.backend.generate", contextLength = 0 } = options;
  if (model.length === 0 || model.length > 256)
    throw new RuntimeError("invalid_argument", `model name has ${model.length} characters, expected 1 to 256`);
  const address = parseAddress(endpoint);
  const serving = await runtime.endpoint(endpoint).serve<ModelJob, Delta>((job, context) => runJob(checkJob(job), model, engine, context), {
    encodeItem: encodeDeltaItem,
    countTokens: tokensOf,
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
      migration_limit: 0,
      model_type: "Chat | Completions",
      model_input: "Text",
      worker_type: "aggregated",
      needs: [],
      runtime_config: {},
    },
  };
  const card = await runtime.discovery.publish(record);
  // A drain of the whole runtime knows the endpoint only: the model must not stay listed while it lasts.
  runtime.draining.addEventListener("abort", () => void withdraw(card, runtime), { once: true });
  return {
    ...serving,
    closed: serving.closed,
    async [Symbol.asyncDispose]() {
      await card[Symbol.asyncDispose]();
      await serving[Symbol.asyncDispose]();
    },
  };
}

async function withdraw(card: AsyncDisposable, { log }: Runtime): Promise<void> {
  try {
    await card[Symbol.asyncDispose]();
  } catch (error) {
    log.child({ target: "dyn_runtime::llm" }).warn({ error }, "model card could not be withdrawn");
  }
}

async function* runJob(job: ModelJob, model: string, engine: Engine, context: RequestContext<Logger>): AsyncGenerator<Delta, void, void> {
  const requests = toRequests(job);
  const tallies = requests.map(createTally);
  try {
    const [request, ...others] = requests;
    const [tally] = tallies;
    if (request && tally && others.length === 0) return yield* enforceLimits(request, engine(request, context), tally);
    const aborter = new AbortController();
    const inner = { ...context, signal: AbortSignal.any([context.signal, aborter.signal]) };
    const choices = requests.map((each, index) => enforceLimits(each, engine(each, inner), tallies[index] ?? createTally()));
    yield* mergeChoices(choices, () => aborter.abort(new RuntimeError("cancelled", "another choice of the request has failed")));
    yield { text: "", usage: sumUsage(tallies, job.n ?? 1) };
  } finally {
    context.report(toFacts(model, tallies, job.n ?? 1));
  }
}

// A prompt is read once, however many completions it gets.
function sumUsage(tallies: readonly Tally[], n: number): Usage {
  let promptTokens = 0;
  let completionTokens = 0;
  for (const [index, { usage, outputTokens }] of tallies.entries()) {
    if (index % n === 0) promptTokens += usage?.promptTokens ?? 0;
    completionTokens += usage?.completionTokens ?? outputTokens;
  }
  return { promptTokens, completionTokens };
}

function toFacts(model: string, tallies: readonly Tally[], n: number): Record<string, string | number> {
  const usage = sumUsage(tallies, n);
  const reasons = new Set(tallies.map(({ finishReason }) => finishReason));
  const [reason] = reasons;
  return {
    model,
    output_tokens: usage.completionTokens,
    ...(tallies.some((tally) => tally.usage) && { input_tokens: usage.promptTokens }),
    ...(reason !== undefined && reasons.size === 1 && { finish_reason: reason }),
    ...(tallies.length > 1 && { choices: tallies.length }),
  };
}

// The frontend validates; another caller of the endpoint may not.
function checkJob(job: ModelJob): ModelJob {
  const shape: unknown = job;
  if (!isMap(shape) || !Array.isArray(shape["messages"]) || !Array.isArray(shape["stop"]) || !isMap(shape["sampling"])) {
    throw new RuntimeError("invalid_argument", "request must be a map with the lists messages and stop and the map sampling");
  }
  const { n = 1, prompts = [0] } = shape;
  if (!Number.isInteger(n) || !Array.isArray(prompts) || !(Number(n) * prompts.length >= 1 && Number(n) * prompts.length <= maxChoices)) {
    throw new RuntimeError("invalid_argument", `request must have 1 to ${maxChoices} choices, n for each of its prompts`);
  }
  return job;
}
