/** POST /v1/messages/count_tokens: what `usage.input_tokens` of the same request will say. A worker is asked if one counts, else it is the count of words that workers make, too. */
import { RuntimeError } from "@dyn/runtime";
import { countPromptTokens, isCount, maxTimerMs, sendJson, type Exchange, type ModelJob } from "@dyn/runtime/internal";
import { parseJsonBody } from "../http/body.ts";
import { readTimeout, timeoutHeader, type DeadlineLimits } from "../inference/deadlines.ts";
import type { FieldLimits } from "../inference/fields.ts";
import { keepTools } from "../inference/parse.ts";
import { logSkipped } from "../inference/parts.ts";
import type { CountClient } from "../models/counter.ts";
import type { Models } from "../models/models.ts";
import { parseCountRequest } from "./messages-schema.ts";

export interface CountParts {
  readonly models: Models;
  readonly fieldLimits: FieldLimits;
  readonly deadlineLimits: DeadlineLimits;
  /** Monotonic clock, ms. */
  readonly now: () => number;
}

/** @throws RuntimeError, FieldError for the caller to answer. No async function, which would hold the body until the answer is out. */
export function serveTokenCount(exchange: Exchange, raw: unknown, parts: CountParts): void | Promise<void> {
  const { job, skipped } = keepTools(parseCountRequest(parseJsonBody(raw), parts.fieldLimits), raw);
  logSkipped(exchange.log, skipped);
  const counter = parts.models.counterOf(job.model);
  if (counter) return askWorker(exchange, job, counter, parts);
  sendJson(exchange, 200, { input_tokens: countPromptTokens(job) });
}

async function askWorker(exchange: Exchange, job: ModelJob, counter: CountClient, parts: CountParts): Promise<void> {
  const { identity, signal } = exchange;
  const timeoutMs = toTimeLeft(exchange, parts);
  const counted = await counter.call(job, { identity, signal, ...(timeoutMs !== undefined && { timeoutMs }) });
  const promptTokens = counted?.promptTokens;
  if (!isCount(promptTokens)) throw new RuntimeError("protocol", "the worker answered with no count of tokens");
  sendJson(exchange, 200, { input_tokens: promptTokens });
}

// As long as a first token may take, and no longer than an answer.
function toTimeLeft({ request, startedAt }: Exchange, { deadlineLimits, now }: CountParts): number | undefined {
  const { totalMs, firstTokenMs } = readTimeout(request.headers[timeoutHeader], deadlineLimits);
  const limits = [totalMs, firstTokenMs].filter((ms) => ms > 0);
  return limits.length === 0
    ? undefined
    : Math.max(1, Math.ceil(Math.min(...limits, maxTimerMs) - (now() - startedAt)));
}
