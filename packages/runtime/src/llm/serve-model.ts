/** Serve a model: publish its endpoint and its card, and hold the engine to what requests ask. */
import { parseAddress, toSlug, type ModelRecord } from "../discovery/records.ts";
import type { Serving } from "../endpoint.ts";
import { RuntimeError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import { encodeDeltaItem } from "../wire/items.ts";
import { isMap } from "../wire/payload.ts";
import type { Delta, Engine, ModelRequest } from "./contract.ts";
import { createTally, enforceLimits, tokensOf } from "./limits.ts";

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
  const serving = await runtime.endpoint(endpoint).serve<ModelRequest, Delta>(
    async function* (request, context) {
      const tally = createTally();
      try {
        yield* enforceLimits(checkRequest(request), engine(request, context), tally);
      } finally {
        const { usage, outputTokens, finishReason } = tally;
        context.report({
          model,
          output_tokens: usage?.completionTokens ?? outputTokens,
          ...(usage && { input_tokens: usage.promptTokens }),
          ...(finishReason && { finish_reason: finishReason }),
        });
      }
    },
    { encodeItem: encodeDeltaItem, countTokens: tokensOf },
  );
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

// The frontend validates; another caller of the endpoint may not.
function checkRequest(request: ModelRequest): ModelRequest {
  const shape: unknown = request;
  if (!isMap(shape) || !Array.isArray(shape["messages"]) || !Array.isArray(shape["stop"])) {
    throw new RuntimeError("invalid_argument", "request must be a map with the lists messages and stop");
  }
  return request;
}
