/** From a model and a request to batches of deltas, counted and timed on the way. */
import { RuntimeError, type GenerateOptions } from "@dyn/runtime";
import { assertDelta, type Delta, type ModelJob, type Prefill } from "@dyn/runtime/llm";
import { createDelivered } from "./delivered.ts";
import type { Deadlines } from "./deadlines.ts";
import type { Exchange } from "./exchange.ts";
import type { Models } from "./models.ts";
import type { ModelClient } from "./pools.ts";
import type { RequestProgress } from "./request-log.ts";

/** What is done with each batch; a promise holds the stream until it resolves. */
export type OnBatch = (batch: readonly Delta[]) => Promise<void> | undefined;

export interface GenerateParts {
  readonly models: Models;
  readonly progress: RequestProgress;
  readonly deadlines: Deadlines;
  /** Monotonic clock, ms. */
  readonly now: () => number;
}

/** Resolves after the last batch. `progress` is filled in, also when the request fails or is cancelled. */
export async function generate(job: ModelJob, exchange: Exchange, parts: GenerateParts, onBatch: OnBatch): Promise<void> {
  const { client, prefill, migrationLimit } = parts.models.serving(job.model);
  const whole = prefill ? { ...job, prefill: await runPrefill(prefill, job, exchange, parts) } : job;
  const { progress, deadlines, now } = parts;
  const delivered = createDelivered(whole, migrationLimit);
  const answer = client.generate(whole, { ...toOptions(exchange, parts, "x-worker-instance-id"), resume: () => delivered.resume() });
  const attemptsBefore = progress.attempts;
  let attemptsAtFirst: number | undefined;
  progress.routes.push(answer.reports);
  try {
    for await (const batch of answer.batches()) {
      attemptsAtFirst ??= answer.attempts;
      record(batch, progress, now());
      delivered.add(batch);
      deadlines.heard();
      const held = onBatch(batch);
      if (!held) continue;
      deadlines.hold();
      await held;
    }
  } catch (error) {
    if (!delivered.isWhole || exchange.signal.aborted) throw error; // else only the worker's farewell is missing
  } finally {
    progress.workerId = answer.workerId;
    progress.attempts = attemptsBefore + answer.attempts;
    progress.retries += Math.max(0, (attemptsAtFirst ?? answer.attempts) - 1);
    progress.resumptions = answer.attempts - (attemptsAtFirst ?? answer.attempts);
  }
}

// The header names an instance for the router mode direct, as Dynamo's gateway does.
function toOptions({ identity, signal, request }: Exchange, { deadlines: { endsAt } }: GenerateParts, header: string): GenerateOptions {
  const instanceId = request.headers[header];
  return { identity, signal, ...(endsAt !== undefined && { deadlineAt: endsAt }), ...(typeof instanceId === "string" && { instanceId }) };
}

// The first half of a disaggregated request: one result per prompt, however many completions each gets.
async function runPrefill(client: ModelClient, job: ModelJob, exchange: Exchange, parts: GenerateParts): Promise<Prefill> {
  const { progress } = parts;
  const answer = client.generate({ ...job, n: 1 }, toOptions(exchange, parts, "x-prefill-instance-id"));
  const results: unknown[] = [];
  progress.routes.push(answer.reports);
  try {
    for await (const batch of answer.batches()) {
      for (const delta of batch) {
        assertDelta(delta);
        if (delta.prefillResult !== undefined) results[delta.choice ?? 0] = delta.prefillResult;
      }
    }
  } finally {
    progress.prefillWorkerId = answer.workerId;
    progress.attempts = answer.attempts;
    progress.retries += Math.max(0, answer.attempts - 1);
  }
  const wanted = job.prompts?.length ?? 1;
  if (Object.keys(results).length !== wanted)
    throw new RuntimeError("protocol", `the prefill worker gave ${Object.keys(results).length} results for ${wanted} prompts`);
  const { seen } = answer.trailer;
  return { results, ...(seen && { traceId: seen.trace_id, spanId: seen.span_id }) };
}

function record(batch: readonly Delta[], progress: RequestProgress, at: number): void {
  let tokens = 0;
  for (const delta of batch) {
    assertDelta(delta);
    const { text, tokenIds, usage, finishReason } = delta;
    tokens += tokenIds?.length ?? (text === "" ? 0 : 1);
    if (finishReason !== undefined && !progress.finishReasons.includes(finishReason)) progress.finishReasons.push(finishReason);
    if (!usage) continue;
    progress.inputTokens = usage.promptTokens;
    progress.cachedTokens = usage.cachedTokens;
    progress.outputTokens = usage.completionTokens - tokens;
  }
  if (tokens > 0) {
    progress.firstTokenAt ??= at;
    progress.lastTokenAt = at;
    progress.meter.tokens(tokens, at);
  }
  progress.outputTokens += tokens;
}
