/** The endpoint beside that of a model at which its worker counts the tokens of a prompt: no engine runs, so no request waits there for a place of one. */
import type { EndpointAddress } from "../discovery/records.ts";
import { formatAddress } from "../discovery/records.ts";
import type { Serving } from "../endpoint.ts";
import { RuntimeError } from "../errors.ts";
import type { RequestContext } from "../handler.ts";
import type { Runtime } from "../runtime.ts";
import { toHandlerError } from "../thrown.ts";
import { toRequests } from "./choices.ts";
import type { ModelJob } from "./contract.ts";
import { checkJob } from "./job-check.ts";
import { countPrompt, type PromptHooks } from "./prompt-count.ts";

/** What it answers. */
export interface TokenCount {
  /** Of all prompts of the job, each counted once. */
  readonly promptTokens: number;
}

/** Counts that are made at a time; a hook may ask another process. */
const countLimit = 256;

/** Where the workers of a model at `address` count, if its cards say that they do. */
export function toCountAddress({ endpoint, ...address }: EndpointAddress): EndpointAddress {
  return { ...address, endpoint: `${endpoint}-count_tokens` };
}

/** Serve it. @throws RuntimeError `invalid_argument` if the name of the endpoint leaves no room for its own. */
export function serveCount(
  { model, address, labels }: Counted,
  hooks: PromptHooks,
  runtime: Runtime,
): Promise<Serving> {
  return runtime
    .endpoint(formatAddress(toCountAddress(address)))
    .serve<ModelJob, TokenCount>(async (job, context) => ({ promptTokens: await countJob(job, hooks, context) }), {
      model,
      requestLimit: countLimit,
      labels,
      idempotent: true,
    });
}

/** The model. */
export interface Counted {
  readonly model: string;
  readonly address: EndpointAddress;
  readonly labels: Readonly<Record<string, string>>;
}

async function countJob(job: ModelJob, hooks: PromptHooks, context: RequestContext): Promise<number> {
  const requests = toRequests({ ...checkJob(job, "aggregated"), n: 1 });
  let promptTokens = 0;
  for (const request of requests) promptTokens += await countPrompt(request, hooks, context).catch(refuse);
  return promptTokens;
}

// What a hook says in a code of its own is for the client. Of anything else the client reads which part failed, and another worker may be asked.
function refuse(thrown: unknown): never {
  const error = toHandlerError(thrown);
  if (error.code !== "internal") throw error;
  throw new RuntimeError("unavailable", `the tokens of the prompt could not be counted: ${error.message}`, {
    cause: error,
    publicMessage: "the model could not count the tokens of the prompt",
  });
}
