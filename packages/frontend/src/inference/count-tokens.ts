/** How many tokens a request would have: a worker is asked if one counts, else it is the count of words that workers make, too. What the engine does not read is refused or left out as there. */
import { RuntimeError, toRuntimeError } from "@dyn/runtime";
import { countPromptTokens, isCount, maxTimerMs, sendJson, type Exchange, type ModelJob } from "@dyn/runtime/internal";
import { parseJsonBody } from "../http/body.ts";
import type { CountClient } from "../models/counter.ts";
import { beginRequestLog, type RequestLog } from "../observe/request-log.ts";
import type { InferenceApi, InferenceRequest, Refusals } from "./api.ts";
import { readTimeout, timeoutHeader } from "./deadlines.ts";
import { keepExact, parseExactly } from "./exact.ts";
import { findExtra } from "./extra.ts";
import type { FieldLimits } from "./fields.ts";
import { givenAtEnd } from "./given-headers.ts";
import { fitParts } from "./media.ts";
import { logSkipped } from "./parts.ts";
import { refuse, type InferenceParts } from "./serve.ts";

/** What an API brings: its shapes. */
export interface CountApi extends Refusals, Pick<InferenceApi, "fields" | "exact" | "rewritten"> {
  /** @throws FieldError naming the field that is wrong. */
  parse(body: unknown, limits: FieldLimits, caller: Exchange["caller"]): InferenceRequest;
  /** The body of the answer. */
  toAnswer(promptTokens: number): unknown;
}

export type CountParts = Pick<
  InferenceParts,
  "models" | "fieldLimits" | "unknownFields" | "deadlineLimits" | "overloadStatus" | "passHeaders" | "history" | "now"
>;

/** @throws RuntimeError, FieldError for the caller to answer. No async function, which would hold the body until the answer is out. */
export function serveTokenCount(
  api: CountApi,
  exchange: Exchange,
  raw: unknown,
  parts: CountParts,
): void | Promise<void> {
  const { job: asked, skipped, media = [], keptBytes = 0 } = parse(api, exchange, raw, parts);
  logSkipped(exchange.log, skipped);
  exchange.memory.take(keptBytes);
  const { capabilities } = parts.models.find(asked.model);
  const job = media.length > 0 ? fitParts(asked, media, capabilities, exchange.log) : asked;
  const counter = parts.models.counterOf(job.model);
  if (!counter) return sendJson(exchange, 200, api.toAnswer(countPromptTokens(job)));
  const timeoutMs = toTimeLeft(exchange, parts);
  return askWorker(api, exchange, job, { ...parts, counter, timeoutMs });
}

function parse(
  api: CountApi,
  { caller }: Exchange,
  raw: unknown,
  { fieldLimits, unknownFields }: CountParts,
): InferenceRequest {
  const body = parseJsonBody(raw);
  if (unknownFields === "refuse") findExtra(body, api.fields, "refuse");
  const request = parseExactly(api.rewritten, body, raw, (given) => api.parse(given, fieldLimits, caller));
  return keepExact(api.exact, request, raw);
}

type Asking = CountParts & {
  readonly counter: CountClient;
  readonly timeoutMs: number | undefined;
};

// What a worker has done belongs to a request that has lines, and a place in the history.
async function askWorker(api: CountApi, exchange: Exchange, job: ModelJob, parts: Asking): Promise<void> {
  const kind = { endpoint: api.endpoint, requestType: "unary" as const, modelAsked: job.model, isKnown: true };
  const { history, now } = parts;
  using requestLog = beginRequestLog({ ...exchange, span: undefined }, kind, { metrics: undefined, history, now }); // the span ends with the response
  try {
    const promptTokens = await count(exchange, job, parts, requestLog);
    const headers = parts.passHeaders(exchange, givenAtEnd(requestLog.record));
    sendJson(exchange, 200, api.toAnswer(promptTokens), headers);
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
