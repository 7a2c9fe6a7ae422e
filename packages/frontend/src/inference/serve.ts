/** Serves one inference request of any API: parse, generate, answer; one pair of log lines on every way out. */
import { toRuntimeError, type RuntimeError } from "@dyn/runtime";
import { sendJson, sendPage, toErrorHeaders, type Exchange } from "@dyn/runtime/internal";
import type { Delta } from "@dyn/runtime/llm";
import { EventStream } from "../http/sse.ts";
import { beginRequestLog, type RequestKind, type RequestLog, type RequestLogOptions } from "../observe/request-log.ts";
import type { AnswerHead, InferenceApi, InferenceRequest, Refusals, UnaryApi } from "./api.ts";
import type { AskParts } from "./ask-options.ts";
import { Deadlines } from "./deadlines.ts";
import { keepExact, parseExactly } from "./exact.ts";
import { findExtra } from "./extra.ts";
import { peekModel, peekStream, type FieldLimits } from "./fields.ts";
import { givenAtEnd, type PassHeaders } from "./given-headers.ts";
import { generate } from "./generate.ts";
import { parseRequest, type Parsed, type ParseLimits } from "./parse.ts";
import { logSkipped } from "./parts.ts";

/** What the inference handlers share. */
export interface InferenceParts
  extends RequestLogOptions, ParseLimits, Pick<AskParts, "models" | "maxAnswerBytes" | "forwardHeaders"> {
  readonly wallClock: () => number;
  readonly passHeaders: PassHeaders;
  /** HTTP status of `overloaded`. */
  readonly overloadStatus: number;
  /** After how much silence a stream says `keepAlive`, ms; 0 = never. */
  readonly keepAliveMs: number;
}

/** One request under way. */
interface Inference<Request extends InferenceRequest> {
  readonly api: InferenceApi<Request>;
  readonly request: Request;
  readonly head: AnswerHead;
  readonly asking: AskParts;
  readonly passHeaders: PassHeaders;
  readonly keepAliveMs: number;
}

/** Never rejects: every ending is an answer (unless the client is gone) and a pair of log lines. No async function, which would hold the body until then. */
export function serveInference<Request extends InferenceRequest>(
  api: InferenceApi<Request>,
  exchange: Exchange,
  raw: unknown,
  parts: InferenceParts,
): Promise<void> {
  const read = (body: unknown, limits: FieldLimits): Request => {
    const extra = findExtra(body, api.fields, parts.unknownFields);
    const request = parseExactly(api.rewritten, body, raw, (given) => api.parse(given, limits, exchange.caller));
    return keepExact(api.exact, request, raw, extra);
  };
  const { body, ...parsed } = parseRequest(read, exchange, raw, parts);
  const { passHeaders, keepAliveMs, wallClock } = parts;
  return serveParsed(api, exchange, parsed, kindOf(api, body, parts), parts, (request, asking) => {
    logSkipped(exchange.log, request.skipped);
    if (request.keptBytes !== undefined) exchange.memory.take(request.keptBytes);
    const now = (): number => Math.floor(wallClock() / 1000);
    const head = { requestId: exchange.identity.requestId, created: now(), now };
    return (request.stream ? stream : complete)({ api, request, head, asking, passHeaders, keepAliveMs });
  });
}

/** The same for an API that has one kind of answer. */
export function serveUnary<Request extends object>(
  api: UnaryApi<Request>,
  exchange: Exchange,
  raw: unknown,
  parts: InferenceParts,
): Promise<void> {
  const read = (body: unknown, limits: FieldLimits): Request => {
    if (parts.unknownFields === "refuse") findExtra(body, api.fields, "refuse");
    return api.parse(body, limits);
  };
  const { body, ...parsed } = parseRequest(read, exchange, raw, parts);
  const kind = { ...kindOf(api, body, parts), requestType: "unary" } as const;
  return serveParsed(api, exchange, parsed, kind, parts, async (request, asking) => {
    const json = await api.answer(request, asking);
    const headers = parts.passHeaders(exchange, givenAtEnd(asking.requestLog.record));
    sendPage(exchange, "application/json", json, headers && { headers });
    asking.requestLog.responded(200);
  });
}

function kindOf({ endpoint }: Refusals, body: unknown, { models }: InferenceParts): RequestKind {
  const modelAsked = peekModel(body);
  const isKnown = modelAsked !== undefined && models.has(modelAsked);
  return { endpoint, requestType: peekStream(body) ? "stream" : "unary", modelAsked, isKnown };
}

/** The same for what has been read already, and is answered as `answer` says. */
export async function serveParsed<Request>(
  api: Refusals,
  exchange: Exchange,
  { request, deadlineLimits: limits, error }: Omit<Parsed<Request>, "body">,
  kind: RequestKind,
  parts: InferenceParts,
  answer: (request: Request, asking: AskParts) => Promise<void>,
): Promise<void> {
  using requestLog = beginRequestLog(exchange, kind, parts);
  if (request === undefined || !limits) return refuse({ api, exchange, requestLog, parts }, toRuntimeError(error));
  const { models, maxAnswerBytes, forwardHeaders, now } = parts;
  using deadlines = new Deadlines({ limits, startedAt: exchange.startedAt, now, onExpiry: exchange.abort });
  try {
    await answer(request, { exchange, requestLog, deadlines, models, maxAnswerBytes, forwardHeaders, now });
  } catch (thrown) {
    refuse({ api, exchange, requestLog, parts }, toFailure(exchange, thrown));
  }
}

/** Answer a request that failed before it could be parsed, for instance with a body over the limit. */
export function refuseInference(api: Refusals, exchange: Exchange, error: RuntimeError, parts: InferenceParts): void {
  const kind = { endpoint: api.endpoint, requestType: "unary" as const, modelAsked: undefined, isKnown: false };
  using requestLog = beginRequestLog(exchange, kind, parts);
  refuse({ api, exchange, requestLog, parts }, error);
}

// Whoever ended the exchange has said why; what follows from that is no news.
function toFailure({ signal }: Exchange, thrown: unknown): RuntimeError {
  return toRuntimeError(signal.aborted ? signal.reason : thrown);
}

interface Refused {
  readonly api: Refusals;
  readonly exchange: Exchange;
  readonly requestLog: RequestLog;
  readonly parts: Pick<InferenceParts, "overloadStatus" | "passHeaders">;
}

/** Answer with an error, in the shape of the API, and say so in the request's lines. */
export function refuse({ api, exchange, requestLog, parts }: Refused, error: RuntimeError): void {
  const { response, identity } = exchange;
  requestLog.fail(error);
  logFault(exchange, error);
  if (response.headersSent || response.destroyed) return;
  const status = error.code === "overloaded" ? parts.overloadStatus : error.traits.status;
  const headers = { ...parts.passHeaders(exchange, givenAtEnd(requestLog.record)), ...toErrorHeaders(error) };
  sendJson(exchange, status, api.toErrorBody(error, identity.requestId), headers);
  requestLog.responded(status);
}

// Clients read a fixed sentence of a fault of ours: what it was is for the log.
function logFault({ log }: Exchange, error: RuntimeError): void {
  const { metric, publicMessage } = error.traits;
  if (metric === "internal" && publicMessage !== undefined)
    log.error({ error: error.cause ?? error }, "request failed");
}

async function complete<Request extends InferenceRequest>(inference: Inference<Request>): Promise<void> {
  const { api, request, head, passHeaders, asking } = inference;
  const { exchange, requestLog } = asking;
  const result = await generate(request, asking, { keepsTexts: true });
  const headers = passHeaders(exchange, givenAtEnd(requestLog.record));
  sendJson(exchange, 200, api.toAnswer(request, head, result), headers);
  requestLog.responded(200);
}

async function stream<Request extends InferenceRequest>(inference: Inference<Request>): Promise<void> {
  const { api, request, head, asking, passHeaders, keepAliveMs } = inference;
  const { exchange, requestLog, now } = asking;
  const { keepAlive } = api;
  const format = api.createStream(request, head);
  let given: unknown;
  using events = new EventStream(exchange, {
    keepAlive,
    keepAliveMs,
    now,
    headers: () => passHeaders(exchange, given),
    onBegin: () => requestLog.responded(200),
  });
  let { opening } = format;
  const onBatch = (batch: readonly Delta[], at: number): Promise<void> | undefined => {
    if (!events.hasBegun) given = batch[0]?.headers ?? given;
    if (!opening) return events.write(format.batch(batch), at);
    const before = opening;
    opening = undefined;
    return writeOpening(events, before, () => format.batch(batch));
  };
  const write = async (): Promise<string> =>
    format.end(await generate(request, asking, { keepsTexts: api.repeatsAnswer === true, onBatch }));
  const toErrorEvent = (error: RuntimeError): string => format.fail?.(error) ?? api.toErrorEvent(error, head.requestId);
  await writeStream(events, asking, toErrorEvent, write);
}

/** `write` resolves with the last events. Headers wait for the first, or for `keepAliveMs`: what fails before is a plain error with its own status. */
export async function writeStream(
  events: EventStream,
  { exchange, requestLog }: Pick<AskParts, "exchange" | "requestLog">,
  toErrorEvent: (error: RuntimeError) => string,
  write: () => Promise<string>,
): Promise<void> {
  try {
    events.end(await write());
  } catch (error) {
    if (!events.hasBegun || exchange.response.destroyed) throw error;
    const failure = toFailure(exchange, error);
    requestLog.fail(failure);
    logFault(exchange, failure);
    events.end(toErrorEvent(failure));
  } finally {
    if (events.hasBegun) requestLog.streamed(events.bytes);
  }
}

async function writeOpening(events: EventStream, opening: Iterable<string>, toBatch: () => string): Promise<void> {
  for (const part of opening) await events.write(part);
  await events.write(toBatch());
}
