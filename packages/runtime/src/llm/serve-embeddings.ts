/** Serve a model that makes embeddings and nothing else. One that does both is served by `serveModel` with `embed`. */
import { parseAddress } from "../discovery/records.ts";
import type { Serving } from "../endpoint.ts";
import { RuntimeError } from "../errors.ts";
import type { RequestLimit } from "../ingress/request-limit.ts";
import type { Runtime } from "../runtime.ts";
import { assertFunction, assertObject, assertWhole, refuseOthers, type OptionNames } from "../settings/options.ts";
import { encodeDeltaItem } from "../wire/items.ts";
import type { Delta, ModelJob } from "./contract.ts";
import { runEmbeddings, type Embed } from "./embeddings.ts";
import { checkJob } from "./job-check.ts";
import { checkName } from "./model-card.ts";
import { publish } from "./publish.ts";

export interface ServeEmbeddingsOptions {
  /** Name clients use; any text of 1 to 256 characters. */
  readonly model: string;
  /** Default `dyn://dynamo.backend.embed`. */
  readonly endpoint?: string;
  /** Tokens of an input, shown by `/v1/models`. Default 0: none are shown. */
  readonly contextLength?: number;
  /** Requests the engine can run at a time; the lower of this and `--engine-request-limit` holds. Default 0: no limit of its own. */
  readonly requestLimit?: number;
  /** Places and a queue that it shares with other endpoints, made by `runtime.limit()`; in place of `requestLimit`. Default: those are its own. */
  readonly limit?: RequestLimit;
  /** What callers may choose this instance by, as of `serve`. Default: none. */
  readonly labels?: Readonly<Record<string, string>>;
}

const embeddingsOptions: OptionNames<ServeEmbeddingsOptions> = {
  model: true,
  endpoint: true,
  contextLength: true,
  requestLimit: true,
  limit: true,
  labels: true,
};

/** Resolves once the model is registered. @throws RuntimeError `invalid_argument` on a bad name or address. */
export async function serveEmbeddings(
  runtime: Runtime,
  options: ServeEmbeddingsOptions,
  embed: Embed,
): Promise<Serving> {
  assertObject("options", options);
  const { model, endpoint = "dyn://dynamo.backend.embed", contextLength = 0, requestLimit = 0, ...rest } = options;
  const { limit, labels = {}, ...others } = rest;
  refuseOthers(others, embeddingsOptions);
  checkName(model);
  assertWhole("contextLength", contextLength, 0);
  assertFunction("embed", embed);
  const address = parseAddress(endpoint);
  const serving = await runtime.endpoint(endpoint).serve<ModelJob, Delta>(
    (given, context) => {
      const job = checkJob(given, "aggregated");
      if (job.embedding) return runEmbeddings(job, embed, context);
      throw new RuntimeError("unimplemented", `model ${JSON.stringify(model)} makes embeddings and nothing else`);
    },
    {
      encodeItem: encodeDeltaItem,
      countTokens: () => 0, // a vector is none
      model,
      requestLimit,
      ...(limit !== undefined && { limit }),
      labels,
      idempotent: true, // the same text has the same vector
    },
  );
  const card = { model, role: "aggregated", contextLength, migrationLimit: 0, capabilities: [] } as const;
  return publish(runtime, serving, address, { ...card, isCounting: false, embeddings: "only" });
}
