/** Serve a model: publish its endpoint and its card, and hold the engine to what requests ask. */
import { parseAddress } from "../discovery/records.ts";
import type { Serving } from "../endpoint.ts";
import type { RequestLimit } from "../ingress/request-limit.ts";
import { once } from "../lifetime.ts";
import { RuntimeError } from "../errors.ts";
import type { Handler } from "../handler.ts";
import type { Runtime } from "../runtime.ts";
import { assertFunction, assertObject, assertWhole, refuseOthers, type OptionNames } from "../settings/options.ts";
import { encodeDeltaItem } from "../wire/items.ts";
import type { Capability, CountTokens, Delta, Engine, ModelJob, RenderPrompt, WorkerRole } from "./contract.ts";
import { checkJob } from "./job-check.ts";
import { runEmbeddings, type Embed } from "./embeddings.ts";
import { checkCapabilities, checkName, checkRole } from "./model-card.ts";
import { createUsageCount, type PromptHooks } from "./prompt-count.ts";
import { publish } from "./publish.ts";
import { createLoneNotice, runJob, type Served } from "./run-job.ts";
import { serveCount } from "./serve-count.ts";

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
  /** Tokens of a prompt, a whole number: then `count_tokens`, `usage` and `message_start` have the engine's own count. Default: words are counted. */
  readonly countTokens?: CountTokens;
  /** The text of a conversation as the engine's chat template makes it, for `countTokens`. Default: the texts of its messages, a line break between them. */
  readonly render?: RenderPrompt;
  /** What the engine can do beyond text. A request that asks for something else is refused by the frontend. Default: nothing. */
  readonly capabilities?: readonly Capability[];
  /** Makes embeddings, at the same endpoint: then the model has both. Only with the role `aggregated`. Default: it makes none. */
  readonly embed?: Embed;
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
  countTokens: true,
  render: true,
  capabilities: true,
  embed: true,
};

/** Resolves once the model is registered. @throws RuntimeError `invalid_argument` on a bad name or address. */
export async function serveModel(runtime: Runtime, options: ServeModelOptions, engine: Engine): Promise<Serving> {
  assertObject("options", options);
  const { model, role = "aggregated", contextLength = 0, migrationLimit = 0, requestLimit = 0, ...rest } = options;
  const {
    labels = {},
    capabilities = [],
    limit,
    countTokens,
    render,
    embed,
    endpoint = role === "prefill" ? "dyn://dynamo.prefill.generate" : "dyn://dynamo.backend.generate",
    ...others
  } = rest;
  refuseOthers(others, modelOptions);
  checkName(model);
  checkRole(role);
  if (embed !== undefined) checkEmbed(embed, role);
  assertWhole("contextLength", contextLength, 0);
  assertWhole("migrationLimit", migrationLimit, 0);
  checkCapabilities(capabilities);
  assertFunction("the engine", engine);
  const hooks = toHooks(countTokens, render);
  const address = parseAddress(endpoint);
  const countPrompt = hooks && createUsageCount(model, hooks);
  const served: Served = { model, role, engine, countPrompt, tracer: runtime.tracer, onLone: createLoneNotice(model) };
  const counting = hooks && (await serveCount({ model, address, labels }, hooks, runtime));
  const serving = await withCounting(counting, () =>
    runtime.endpoint(endpoint).serve<ModelJob, Delta>(toHandler(served, embed), {
      encodeItem: encodeDeltaItem,
      countTokens: () => 0, // each delta is counted as the engine gives it
      model,
      requestLimit,
      ...(limit !== undefined && { limit }),
      labels,
      idempotent: true, // nobody is harmed by text that is generated twice
    }),
  );
  const card = { model, role, contextLength, migrationLimit, capabilities, isCounting: counting !== undefined };
  return publish(runtime, serving, address, { ...card, embeddings: embed ? "also" : "none" });
}

function toHandler(served: Served, embed: Embed | undefined): Handler<ModelJob, Delta> {
  return (given, context) => {
    const job = checkJob(given, served.role);
    return job.embedding ? runEmbeddings(job, embed, context) : runJob(job, served, context);
  };
}

function checkEmbed(embed: unknown, role: WorkerRole): void {
  assertFunction("embed", embed);
  if (role !== "aggregated") throw new RuntimeError("invalid_argument", `embed needs the role aggregated, got ${role}`);
}

function toHooks(countTokens: CountTokens | undefined, render: RenderPrompt | undefined): PromptHooks | undefined {
  if (render !== undefined) assertFunction("render", render);
  if (countTokens !== undefined) {
    assertFunction("countTokens", countTokens);
    return { countTokens, render };
  }
  if (render === undefined) return undefined;
  throw new RuntimeError("invalid_argument", "render makes the text for countTokens, which must be given, too");
}

// The endpoint that counts is there first: whoever reads the card may ask it. Both end together.
async function withCounting(counting: Serving | undefined, serve: () => Promise<Serving>): Promise<Serving> {
  if (!counting) return serve();
  try {
    const serving = await serve();
    const closed = Promise.all([serving.closed, counting.closed]).then(() => undefined);
    closed.catch(() => undefined); // also thrown at whoever closes
    const close = once(() => {
      for (const each of [serving, counting]) void each.close();
      return closed;
    });
    return { ...serving, closed, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await counting.close();
    throw error;
  }
}
