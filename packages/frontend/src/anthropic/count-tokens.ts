/** POST /v1/messages/count_tokens: what `usage.input_tokens` of the same request will say. A worker is asked if one counts, else it is the count of words that workers make, too. What the engine does not read is refused or left out as there. */
import { RuntimeError, toRuntimeError } from "@dyn/runtime";
import { countPromptTokens, isCount, maxTimerMs, sendJson, type Exchange, type ModelJob } from "@dyn/runtime/internal";
import { parseJsonBody } from "../http/body.ts";
import { readTimeout, timeoutHeader } from "../inference/deadlines.ts";
import type { InferenceRequest } from "../inference/api.ts";
import { keepExact, parseExactly } from "../inference/exact.ts";
import { findExtra } from "../inference/extra.ts";
import { fitParts } from "../inference/media.ts";
import { logSkipped } from "../inference/parts.ts";
import { refuse, type InferenceParts } from "../inference/serve.ts";
import { givenAtEnd } from "../inference/given-headers.ts";
import type { CountClient } from "../models/counter.ts";
import { beginRequestLog, type RequestLog } from "../observe/request-log.ts";
import { toErrorBody } from "./errors.ts";
import { calledBefore, messageFields, parseCountRequest } from "./messages-schema.ts";
import { exactMembers } from "./output-format.ts";

export type CountParts = Pick<
  InferenceParts,
  "models" | "fieldLimits" | "unknownFields" | "deadlineLimits" | "overloadStatus" | "passHeaders" | "history" | "now"
>;

const api = { endpoint: "anthropic_count_tokens", toErrorBody };

/** @throws RuntimeError, FieldError for the caller to answer. No async function, which would hold the body until the answer is out. */
export function serveTokenCount(exchange: Exchange, raw: unknown, parts: CountParts): void | Promise<void> {
  const { job: asked, skipped, media = [] } = parse(raw, parts);
  logSkipped(exchange.log, skipped);
  const { capabilities } = parts.models.find(asked.model);
  const job = media.length > 0 ? fitParts(asked, media, capabilities, exchange.log) : asked;
  const counter = parts.models.counterOf(job.model);
  if (!counter) return sendJson(exchange, 200, { input_tokens: countPromptTokens(job) });
  const timeoutMs = toTimeLeft(exchange, parts);
  return askWorker(exchange, job, { ...parts, counter, timeoutMs });
}

function parse(raw: unknown, { fieldLimits, unknownFields }: CountParts): InferenceRequest {
  const body = parseJsonBody(raw);
  if (unknownFields === "refuse") findExtra(body, messageFields, "refuse");
  const request = parseExactly(calledBefore, body, raw, (given) => parseCountRequest(given, fieldLimits));
  return keepExact(exactMembers, request, raw);
}

type Asking = CountParts & {
  readonly counter: CountClient;
  readonly timeoutMs: number | undefined;
};

// What a worker has done belongs to a request that has lines, and a place in the history.
async function askWorker(exchange: Exchange, job: ModelJob, parts: Asking): Promise<void> {
  const kind = { endpoint: api.endpoint, requestType: "unary" as const, modelAsked: job.model, isKnown: true };
  const { history, now } = parts;
  using requestLog = beginRequestLog({ ...exchange, span: undefined }, kind, { metrics: undefined, history, now }); // the span ends with the response
  try {
    const promptTokens = await count(exchange, job, parts, requestLog);
    const headers = parts.passHeaders(exchange, givenAtEnd(requestLog.record));
    sendJson(exchange, 200, { input_tokens: promptTokens }, headers);
    requestLog.responded(200);
  } catch (thrown) {
    const error = toRuntimeError(exchange.signal.aborted ? exchange.signal.reason : thrown);
    refuse({ api, exchange, requestLog, parts }, error);
  }
}

async function count(
  { identity, signal }: Exchange,
  job: ModelJob,
  { counter, timeoutMs }: Asking,
  { record }: RequestLog,
): Promise<number> {
  const answer = counter.generate(job, { identity, signal, ...(timeoutMs !== undefined && { timeoutMs }) });
  record.answer = answer;
  let promptTokens: unknown;
  for await (const counted of answer) promptTokens = counted?.promptTokens;
  if (!isCount(promptTokens)) throw new RuntimeError("protocol", "the worker answered with no count of tokens");
  record.usage = { promptTokens };
  return promptTokens;
}

// As long as a first token may take, and no longer than an answer.
function toTimeLeft({ request, startedAt }: Exchange, { deadlineLimits, now }: CountParts): number | undefined {
  const { totalMs, firstTokenMs } = readTimeout(request.headers[timeoutHeader], deadlineLimits);
  const limits = [totalMs, firstTokenMs].filter((ms) => ms > 0);
  return limits.length === 0
    ? undefined
    : Math.max(1, Math.ceil(Math.min(...limits, maxTimerMs) - (now() - startedAt)));
}
