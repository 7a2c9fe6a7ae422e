/** From a model and a request to batches of deltas, counted and timed on the way. */
import { RuntimeError, type GenerateOptions } from "@dyn/runtime";
import { assertDelta, countJobTokens, tokensOf, type Delta, type ModelJob, type Prefill } from "@dyn/runtime/llm";
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
  let isOurs = false;
  progress.routes.push(answer.reports);
  try {
    for await (const batch of answer.batches()) {
      isOurs = true; // what fails from here to the end of the turn is no failure of a worker
      attemptsAtFirst ??= answer.attempts;
      record(batch, progress, now());
      delivered.add(batch);
      deadlines.heard();
      const held = onBatch(batch);
      if (held) {
        deadlines.hold();
        await held;
        deadlines.heard();
      }
      isOurs = false;
    }
  } catch (error) {
    if (!isOurs && delivered.isWhole && !exchange.signal.aborted) return; // only the worker's farewell is missing
    progress.inputTokens ??= countJobTokens(job);
    throw error;
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
  const results: unknown[] = Array.from({ length: job.prompts?.length ?? 1 });
  progress.routes.push(answer.reports);
  try {
    for await (const batch of answer.batches()) {
      for (const delta of batch) {
        assertDelta(delta);
        const { prefillResult, choice = 0 } = delta;
        if (choice >= results.length) throw new RuntimeError("protocol", `the prefill worker answered for prompt ${choice} of ${results.length}`);
        if (prefillResult !== undefined) results[choice] = prefillResult;
      }
    }
  } catch (error) {
    progress.inputTokens ??= countJobTokens(job);
    throw error;
  } finally {
    progress.prefillWorkerId = answer.workerId;
    progress.attempts = answer.attempts;
    progress.retries += Math.max(0, answer.attempts - 1);
  }
  const missing = results.indexOf(undefined);
  if (missing >= 0) throw new RuntimeError("protocol", `the prefill worker gave no result for prompt ${missing} of ${results.length}`);
  const { seen } = answer.trailer;
  return { results, ...(seen && { traceId: seen.trace_id, spanId: seen.span_id }) };
}

function record(batch: readonly Delta[], progress: RequestProgress, at: number): void {
  let tokens = 0;
  for (const delta of batch) {
    assertDelta(delta);
    const { usage, finishReason } = delta;
    tokens += tokensOf(delta);
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
