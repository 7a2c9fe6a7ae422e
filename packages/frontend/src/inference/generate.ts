/** From a model and a request to batches of deltas, counted and timed on the way. */
import { RuntimeError, type GenerateOptions } from "@dyn/runtime";
import type { Delta } from "@dyn/runtime/llm";
import {
  assertDelta,
  countJobTokens,
  type Exchange,
  isInstanceId,
  type ModelJob,
  payloadBytes,
  type Prefill,
  requestFactor,
} from "@dyn/runtime/internal";
import type { Deadlines } from "./deadlines.ts";
import type { Models } from "../models/models.ts";
import type { ModelClient } from "../models/pools.ts";
import type { RequestProgress } from "../observe/request-log.ts";
import { Transcript, type Completion } from "./transcript.ts";

/** Bytes of items that may be under way of each answer: some thousand tokens, since each client that does not read holds as much. */
const windowBytes = 32 * 1024;

/** What becomes of an answer on its way. */
export interface Receiver {
  /** True if the texts are wanted in the completion. */
  readonly keepsTexts: boolean;
  /** Called with each batch; a promise holds the stream until it resolves. */
  readonly onBatch?: (batch: readonly Delta[]) => Promise<void> | undefined;
}

export interface GenerateParts {
  readonly models: Models;
  readonly progress: RequestProgress;
  readonly deadlines: Deadlines;
  /** Most that is held of one answer. */
  readonly maxAnswerBytes: number;
  /** Monotonic clock, ms. */
  readonly now: () => number;
}

/** Resolves after the last batch. `progress` is filled in, also when the request fails or is cancelled. */
export async function generate(
  job: ModelJob,
  exchange: Exchange,
  parts: GenerateParts,
  { keepsTexts, onBatch }: Receiver,
): Promise<Completion> {
  const { client, prefill, migrationLimit } = parts.models.serving(job.model);
  const whole = prefill ? { ...job, prefill: await runPrefill(prefill, job, exchange, parts) } : job;
  const { progress, deadlines, maxAnswerBytes: maxBytes, now } = parts;
  const isMovable = migrationLimit > 0;
  const keeping = {
    texts: keepsTexts || isMovable,
    tokenIds: isMovable,
    maxBytes,
    memory: exchange.memory,
    isNeeded: keepsTexts,
  };
  const transcript = new Transcript(job, keeping);
  let resumptionsLeft = migrationLimit;
  const resume = (): ModelJob | undefined => {
    const begun = resumptionsLeft-- > 0 ? transcript.begun() : undefined;
    return begun && { ...whole, begun };
  };
  const answer = client.generate(whole, { ...toOptions(exchange, parts, "x-worker-instance-id"), resume });
  const attemptsBefore = progress.attempts;
  let isOurs = false;
  progress.routes.push(answer.reports);
  try {
    for await (const batch of answer.batches()) {
      isOurs = true; // what fails from here to the end of the turn is no failure of a worker
      record(transcript.add(batch), transcript, progress, now());
      deadlines.heard();
      const held = onBatch?.(batch);
      if (held) {
        deadlines.hold();
        await held;
        deadlines.heard();
      }
      isOurs = false;
    }
  } catch (error) {
    const isWhole = !isOurs && transcript.isWhole && !exchange.signal.aborted; // only the worker's farewell is missing
    if (!isWhole) throw error;
  } finally {
    progress.inputTokens ??= countJobTokens(job);
    if (exchange.span) progress.finishReasons = transcript.finishReasons;
    progress.attempt = answer.reports.at(-1);
    progress.attempts = attemptsBefore + answer.attempts;
    progress.retries += answer.retries;
    progress.resumptions = answer.resumptions;
  }
  return transcript.finish();
}

function toOptions(exchange: Exchange, { deadlines: { endsAt } }: GenerateParts, header: string): GenerateOptions {
  const { identity, signal } = exchange;
  const instanceId = readInstanceId(exchange, header);
  return {
    identity,
    signal,
    windowBytes,
    ...(endsAt !== undefined && { deadlineAt: endsAt }),
    ...(instanceId !== undefined && { instanceId }),
  };
}

// The header names the one instance to ask, as Dynamo's gateway does; an empty one names none.
function readInstanceId({ request }: Exchange, header: string): string | undefined {
  const value = request.headers[header];
  if (typeof value !== "string" || value === "") return undefined;
  if (!isInstanceId(value))
    throw new RuntimeError(
      "invalid_argument",
      `${header} header must be the id of an instance as /health shows it, a decimal u64`,
    );
  return value;
}

// The first half of a disaggregated request: one result per prompt, however many completions each gets.
async function runPrefill(
  client: ModelClient,
  job: ModelJob,
  exchange: Exchange,
  parts: GenerateParts,
): Promise<Prefill> {
  const { progress } = parts;
  const keep = createKeeper(exchange, parts);
  const answer = client.generate({ ...job, n: 1 }, toOptions(exchange, parts, "x-prefill-instance-id"));
  const results: unknown[] = Array.from({ length: job.prompts?.length ?? 1 });
  progress.routes.push(answer.reports);
  try {
    for await (const batch of answer.batches()) {
      for (const delta of batch) {
        assertDelta(delta);
        const { prefillResult, choice = 0 } = delta;
        if (choice >= results.length)
          throw new RuntimeError("protocol", `the prefill worker answered for prompt ${choice} of ${results.length}`);
        if (prefillResult !== undefined) results[choice] = keep(prefillResult);
      }
    }
  } catch (error) {
    progress.inputTokens ??= countJobTokens(job);
    throw error;
  } finally {
    progress.prefillAttempt = answer.reports.at(-1);
    progress.attempts = answer.attempts;
    progress.retries += answer.retries;
  }
  const missing = results.indexOf(undefined);
  if (missing >= 0)
    throw new RuntimeError("protocol", `the prefill worker gave no result for prompt ${missing} of ${results.length}`);
  const { seen } = answer.trailer;
  return { results, ...(seen && { traceId: seen.trace_id, spanId: seen.span_id }) };
}

// Results are held beside the prompt until the answer is over: within the limit of an answer.
function createKeeper({ memory }: Exchange, { maxAnswerBytes }: GenerateParts): (result: unknown) => unknown {
  let heldBytes = 0;
  return (result) => {
    const bytes = payloadBytes(result);
    heldBytes += bytes;
    if (heldBytes > maxAnswerBytes)
      throw new RuntimeError(
        "protocol",
        `the prefill results are larger than ${maxAnswerBytes} bytes, the limit set by DYN_HTTP_ANSWER_LIMIT_MB`,
      );
    memory.take(requestFactor * bytes);
    return result;
  };
}

function record(tokens: number, { usage }: Transcript, progress: RequestProgress, at: number): void {
  if (tokens > 0) {
    progress.firstTokenAt ??= at;
    progress.lastTokenAt = at;
    progress.meter.tokens(tokens, at);
  }
  progress.outputTokens = usage?.completionTokens ?? progress.outputTokens + tokens;
  if (!usage) return;
  progress.inputTokens = usage.promptTokens;
  progress.cachedTokens = usage.cachedTokens;
}
