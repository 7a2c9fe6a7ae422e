/** From a job to its result: what workers send is kept, counted and passed on. */
import { RuntimeError } from "@dyn/runtime";
import type { ModelJob } from "@dyn/runtime/internal";
import type { Delta } from "@dyn/runtime/llm";
import type { ModelClients } from "../models/pools.ts";
import type { InferenceRequest } from "./api.ts";
import { fitParts } from "./media.ts";
import { ask } from "./ask.ts";
import { AnswerLogprobs, type AnswerResult } from "./logprobs.ts";
import type { AskParts } from "./ask-options.ts";
import { Transcript } from "./transcript.ts";

export interface GenerateOptions {
  /** True if the texts are wanted in the result. */
  readonly keepsTexts: boolean;
  /** Called with each batch and the time it came; a promise holds the stream until it resolves. */
  readonly onBatch?: (batch: readonly Delta[], at: number) => Promise<void> | undefined;
}

/** Resolves after the last batch. The record is filled in, also when the request fails or is cancelled. */
export async function generate(
  { job: asked, media = [], formatParam }: Pick<InferenceRequest, "job" | "media" | "formatParam">,
  parts: AskParts,
  { keepsTexts, onBatch }: GenerateOptions,
): Promise<AnswerResult> {
  const { exchange, requestLog, models, maxAnswerBytes: maxBytes } = parts;
  const clients = models.clientsOf(asked.model);
  assertCan(asked, clients, formatParam);
  const thinking = fitReasoning(asked, clients);
  const job = media.length > 0 ? fitParts(thinking, media, clients.capabilities, exchange.log) : thinking;
  const isMovable = clients.migrationLimit > 0;
  const transcript = new Transcript(job, {
    texts: keepsTexts || isMovable,
    tokenIds: isMovable,
    maxBytes,
    memory: exchange.memory,
    isNeeded: keepsTexts,
  });
  const logprobs = job.logprobs && new AnswerLogprobs(job, { keeps: keepsTexts, maxBytes, memory: exchange.memory });
  try {
    await ask(job, clients, parts, {
      receive(batch, at) {
        const tokens = transcript.add(batch);
        logprobs?.add(batch);
        requestLog.received(tokens, transcript.usage, at);
        return onBatch?.(batch, at);
      },
      begun: () => transcript.begun(),
      isWhole: () => transcript.isWhole,
    });
  } finally {
    requestLog.record.finishReasons = transcript.finishReasons;
  }
  const result = transcript.finish();
  return logprobs ? { ...result, logprobsOf: (choice) => logprobs.of(choice) } : result;
}

// Clients ask for thinking whatever the model: one that cannot just answers.
function fitReasoning(job: ModelJob, { capabilities }: ModelClients): ModelJob {
  if (job.reasoning === undefined || capabilities.has("reasoning")) return job;
  const { reasoning: _, ...rest } = job;
  return rest;
}

// A tool that may be called is only an offer. But a call that is asked for and never made, or a text in place of JSON, is an answer that clients take for a fault of their own.
function assertCan(
  { toolChoice, responseFormat, exactJson, logprobs, model }: ModelJob,
  { capabilities }: ModelClients,
  formatParam = "response_format",
): void {
  const isCallAskedFor = toolChoice?.mode === "required" || toolChoice?.mode === "named";
  const toError = (what: string, param: string): RuntimeError =>
    new RuntimeError("unimplemented", `the engine of model ${JSON.stringify(model)} ${what}`, { param });
  if (isCallAskedFor && !capabilities.has("tools"))
    throw toError("cannot call tools, and tool_choice asks for a call", "tool_choice");
  if ((responseFormat ?? exactJson?.responseFormat) !== undefined && !capabilities.has("schemas"))
    throw toError("cannot hold its answer to a form, and one is asked for", formatParam);
  if (logprobs !== undefined && !capabilities.has("logprobs"))
    throw toError("cannot say how likely its tokens are, and logprobs ask for it", "logprobs");
}
