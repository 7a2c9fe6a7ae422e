/** Serves one inference request of any API: parse, generate, answer; one pair of log lines on every way out. */
import { toRuntimeError, type RuntimeError } from "@dyn/runtime";
import type { Delta } from "@dyn/runtime/llm";
import { type Exchange, type ModelJob, sendJson, toErrorHeaders } from "@dyn/runtime/internal";
import { Deadlines, readTimeout, timeoutHeader, type DeadlineLimits } from "./deadlines.ts";
import { checkModelLength, peekModel, peekStream, type FieldLimits } from "./fields.ts";
import { generate, type GenerateParts } from "./generate.ts";
import { parseJsonBody } from "../http/body.ts";
import { readSources } from "../http/exact-json.ts";
import { EventStream } from "../http/sse.ts";
import type { History } from "@dyn/lineage";
import type { FrontendMetrics } from "../observe/metrics.ts";
import type { Models } from "../models/models.ts";
import { logSkipped } from "./parts.ts";
import { beginRequestLog, type RequestFacts, type RequestLog } from "../observe/request-log.ts";
import type { Completion } from "./transcript.ts";

/** A parsed body; APIs add what they need to format the answer. */
export interface InferenceRequest {
  readonly stream: boolean;
  readonly job: ModelJob;
  /** Kinds of parts of its messages that the job is without. */
  readonly skipped?: readonly string[];
}

/** What every answer says about itself. */
export interface AnswerHead {
  /** Ours; body ids contain it. */
  readonly requestId: string;
  /** Unix time, s. */
  readonly created: number;
}

/** The events of one stream. Everything but the text is fixed, so it is built once. */
export interface StreamFormat {
  /** What stands before the first batch, if it may be large: written one by one, as fast as the client reads. */
  readonly opening?: Iterable<string>;
  /** All events of one batch, joined. */
  batch(deltas: readonly Delta[]): string;
  /** What follows the last delta. */
  end(completion: Completion): string;
}

/** How an API refuses. */
export interface Refusals {
  /** Value of the `endpoint` log field and metric label. */
  readonly endpoint: string;
  toErrorBody(error: RuntimeError, requestId: string): unknown;
}

/** What an API brings: its shapes. */
export interface InferenceApi<Request extends InferenceRequest = InferenceRequest> extends Refusals {
  /** @throws FieldError naming the field that is wrong. */
  parse(body: unknown, limits: FieldLimits): Request;
  createStream(request: Request, head: AnswerHead): StreamFormat;
  /** What a stream says when it has nothing to say: every client skips it, wherever it stands. */
  readonly keepAlive: string;
  /** The body of a unary answer. */
  toAnswer(request: Request, head: AnswerHead, completion: Completion): unknown;
  /** The event that ends a stream that has begun and failed. */
  toErrorEvent(error: RuntimeError, requestId: string): string;
}

/** What the inference handlers share. */
export interface InferenceParts {
  readonly models: Models;
  readonly metrics: FrontendMetrics;
  readonly history: History | undefined;
  /** Monotonic clock, ms. */
  readonly now: () => number;
  readonly wallClock: () => number;
  readonly limits: DeadlineLimits;
  readonly fieldLimits: FieldLimits;
  /** Most that is held of one answer. */
  readonly maxAnswerBytes: number;
  /** HTTP status of `overloaded`. */
  readonly overloadStatus: number;
  /** After how much silence a stream says `keepAlive`, ms; 0 = never. */
  readonly keepAliveMs: number;
}

/** One request under way. */
interface Inference<Request extends InferenceRequest> {
  readonly api: InferenceApi<Request>;
  readonly exchange: Exchange;
  readonly request: Request;
  readonly head: AnswerHead;
  readonly requestLog: RequestLog;
  readonly generating: GenerateParts & Pick<InferenceParts, "keepAliveMs">;
}

/** Never rejects: every ending is an answer (unless the client is gone) and a pair of log lines. No async function, which would hold the body until then. */
export function serveInference<Request extends InferenceRequest>(
  api: InferenceApi<Request>,
  exchange: Exchange,
  raw: unknown,
  parts: InferenceParts,
): Promise<void> {
  const { body, ...parsed } = parse(api, exchange, raw, parts);
  const modelRequested = peekModel(body);
  const isKnown = modelRequested !== undefined && parts.models.has(modelRequested);
  const requestType = peekStream(body) ? "stream" : "unary";
  return serveParsed(api, exchange, parsed, { endpoint: api.endpoint, requestType, modelRequested, isKnown }, parts);
}

async function serveParsed<Request extends InferenceRequest>(
  api: InferenceApi<Request>,
  exchange: Exchange,
  { request, limits, error }: Omit<Parsed<Request>, "body">,
  facts: RequestFacts,
  parts: InferenceParts,
): Promise<void> {
  using requestLog = beginRequestLog(exchange, facts, parts);
  if (!request || !limits) return refuse({ api, exchange, requestLog, parts }, toRuntimeError(error));
  logSkipped(exchange.log, request.skipped);
  const head = { requestId: exchange.identity.requestId, created: Math.floor(parts.wallClock() / 1000) };
  const { startedAt, abort: onExpiry } = exchange;
  using deadlines = new Deadlines({ limits, startedAt, now: parts.now, onExpiry });
  const generating = { ...parts, deadlines, progress: requestLog.progress };
  try {
    await (request.stream ? stream : complete)({ api, exchange, request, head, requestLog, generating });
  } catch (thrown) {
    refuse(
      { api, exchange, requestLog, parts },
      toRuntimeError(exchange.signal.aborted ? exchange.signal.reason : thrown),
    );
  }
}

/** Answer a request that failed before it could be parsed, for instance with a body over the limit. */
export function refuseInference(api: Refusals, exchange: Exchange, error: RuntimeError, parts: InferenceParts): void {
  const facts = { endpoint: api.endpoint, requestType: "unary" as const, modelRequested: undefined, isKnown: false };
  using requestLog = beginRequestLog(exchange, facts, parts);
  refuse({ api, exchange, requestLog, parts }, error);
}

interface Parsed<Request> {
  body?: unknown;
  request?: Request;
  limits?: DeadlineLimits;
  error?: unknown;
}

function parse<Request extends InferenceRequest>(
  api: InferenceApi<Request>,
  { request: { headers } }: Exchange,
  raw: unknown,
  { limits: ours, fieldLimits }: InferenceParts,
): Parsed<Request> {
  let body: unknown;
  try {
    body = parseJsonBody(raw);
    checkModelLength(body);
    return {
      body,
      request: keepTools(api.parse(body, fieldLimits), raw),
      limits: readTimeout(headers[timeoutHeader], ours),
    };
  } catch (error) {
    return { body, error };
  }
}

const toolMembers: ReadonlySet<string> = new Set(["tools", "tool_choice"]);

// Engines get tools as they are: as the text they came in, since parsing rounds their numbers.
function keepTools<Request extends InferenceRequest>(request: Request, raw: unknown): Request {
  const { tools: list, toolChoice: choice, ...job } = request.job;
  if ((list === undefined && choice === undefined) || !Buffer.isBuffer(raw)) return request;
  const sources = readSources(raw, toolMembers);
  const tools = list && sources.get("tools");
  const toolChoice = choice === undefined ? undefined : sources.get("tool_choice");
  const toolJson = { ...(tools !== undefined && { tools }), ...(toolChoice !== undefined && { toolChoice }) };
  return { ...request, job: { ...job, toolJson } };
}

interface Refused {
  readonly api: Refusals;
  readonly exchange: Exchange;
  readonly requestLog: RequestLog;
  readonly parts: InferenceParts;
}

// Clients read a fixed sentence of a fault of ours: what it was is for the log.
function logFault({ log }: Exchange, error: RuntimeError): void {
  const { metric, publicMessage } = error.traits;
  if (metric === "internal" && publicMessage !== undefined)
    log.error({ error: error.cause ?? error }, "request failed");
}

function refuse({ api, exchange, requestLog, parts }: Refused, error: RuntimeError): void {
  const { response, identity } = exchange;
  requestLog.fail(error);
  logFault(exchange, error);
  if (response.headersSent || response.destroyed) return;
  const status = error.code === "overloaded" ? parts.overloadStatus : error.traits.status;
  sendJson(exchange, status, api.toErrorBody(error, identity.requestId), toErrorHeaders(error));
  requestLog.responded(status);
}

async function complete<Request extends InferenceRequest>(inference: Inference<Request>): Promise<void> {
  const { api, exchange, request, head, requestLog, generating } = inference;
  const completion = await generate(request.job, exchange, generating, { keepsTexts: true });
  sendJson(exchange, 200, api.toAnswer(request, head, completion));
  requestLog.responded(200);
}

async function writeOpening(events: EventStream, opening: Iterable<string>, toBatch: () => string): Promise<void> {
  for (const part of opening) await events.write(part);
  await events.write(toBatch());
}

async function stream<Request extends InferenceRequest>(inference: Inference<Request>): Promise<void> {
  const { api, exchange, request, head, requestLog, generating } = inference;
  const { now, keepAliveMs } = generating;
  const { keepAlive } = api;
  const format = api.createStream(request, head);
  using events = new EventStream(exchange, { keepAlive, keepAliveMs, now, onBegin: () => requestLog.responded(200) });
  let { opening } = format;
  const onBatch = (batch: readonly Delta[]): Promise<void> | undefined => {
    if (!opening) return events.write(format.batch(batch));
    const before = opening;
    opening = undefined;
    return writeOpening(events, before, () => format.batch(batch));
  };
  try {
    // Headers wait for the first batch, or for `keepAliveMs`: what fails before is a plain error with its own status.
    const completion = await generate(request.job, exchange, generating, { keepsTexts: false, onBatch });
    events.end(format.end(completion));
  } catch (error) {
    if (!events.hasBegun || exchange.response.destroyed) throw error;
    const failure = toRuntimeError(exchange.signal.aborted ? exchange.signal.reason : error);
    requestLog.fail(failure);
    logFault(exchange, failure);
    events.end(api.toErrorEvent(failure, head.requestId));
  } finally {
    if (events.hasBegun) requestLog.streamed(events.bytes);
  }
}
