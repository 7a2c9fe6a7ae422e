/** POST /v1/chat/completions. */
import { RuntimeError, toRuntimeError } from "@dyn/runtime";
import type { Delta, FinishReason, Usage } from "@dyn/runtime/llm";
import type { Exchange } from "../exchange.ts";
import { generate } from "../generate.ts";
import { parseJsonBody } from "../http/body.ts";
import { sendJson } from "../http/reply.ts";
import { openEventStream, type EventStream } from "../http/sse.ts";
import type { FrontendMetrics } from "../metrics.ts";
import type { Models } from "../models.ts";
import { beginRequestLog, type RequestLog } from "../request-log.ts";
import { createChunkFormat, toCompletion, type ChunkOptions } from "./deltas.ts";
import { toErrorBody } from "./errors.ts";
import { parseChatRequest, peekModel, type ChatRequest } from "./schema.ts";

/** What the inference handlers share. */
export interface InferenceParts {
  readonly models: Models;
  readonly metrics: FrontendMetrics;
  readonly now: () => number;
  readonly wallClock: () => number;
}

const endpoint = "chat_completions";

type Parsed = { body: unknown; chat: ChatRequest } | { body: unknown; error: RuntimeError };

function parse(exchange: Exchange, raw: unknown): Parsed {
  let body: unknown;
  try {
    if (exchange.rejection) throw exchange.rejection;
    body = parseJsonBody(exchange.request.headers["content-type"], raw);
    return { body, chat: parseChatRequest(body) };
  } catch (error) {
    return { body, error: toRuntimeError(error) };
  }
}

/** Never rejects: every ending is an answer (unless the client is gone) and a pair of log lines. */
export async function serveChat(exchange: Exchange, raw: unknown, parts: InferenceParts): Promise<void> {
  const parsed = parse(exchange, raw);
  const modelRequested = peekModel(parsed.body);
  const isKnown = modelRequested !== undefined && parts.models.has(modelRequested);
  const requestType = "chat" in parsed && parsed.chat.stream ? "stream" : "unary";
  using requestLog = beginRequestLog(exchange, { endpoint, requestType, modelRequested, isKnown }, parts);
  if ("error" in parsed) return refuse(exchange, requestLog, parsed.error);
  try {
    await (parsed.chat.stream ? streamChat : completeChat)(exchange, parsed.chat, requestLog, parts);
  } catch (error) {
    refuse(exchange, requestLog, exchange.signal.aborted ? toRuntimeError(exchange.signal.reason) : toRuntimeError(error));
  }
}

/** A request that fails before its handler could run, for instance with a body over the limit. */
export function refuseChat(exchange: Exchange, error: RuntimeError, parts: InferenceParts): void {
  using requestLog = beginRequestLog(exchange, { endpoint, requestType: "unary", modelRequested: undefined, isKnown: false }, parts);
  refuse(exchange, requestLog, error);
}

function refuse({ response, log }: Exchange, requestLog: RequestLog, error: RuntimeError): void {
  requestLog.fail(error);
  if (error.traits.metric === "internal") log.error({ error: error.cause ?? error }, "request failed");
  if (response.headersSent || response.destroyed) return;
  const { status, retryable } = error.traits;
  sendJson(response, status, toErrorBody(error), retryable ? { "retry-after": "1" } : {});
  requestLog.responded(status);
}

function toChunkOptions(exchange: Exchange, { request, includeUsage }: ChatRequest, { wallClock }: InferenceParts): ChunkOptions {
  return { id: `chatcmpl-${exchange.identity.requestId}`, created: Math.floor(wallClock() / 1000), model: request.model, includeUsage };
}

interface Ending {
  finishReason: FinishReason | undefined;
  usage: Usage | undefined;
}

function readEnding(batch: readonly Delta[], ending: Ending): void {
  const last = batch.at(-1);
  ending.finishReason = last?.finishReason ?? ending.finishReason;
  ending.usage = last?.usage ?? ending.usage;
}

// A worker that ends without saying why has not finished its work.
function requireFinish({ finishReason, usage }: Ending): { finishReason: FinishReason; usage: Usage } {
  if (!finishReason || !usage) throw new RuntimeError("protocol", "the worker ended its answer without finish reason and usage");
  return { finishReason, usage };
}

async function completeChat(exchange: Exchange, chat: ChatRequest, requestLog: RequestLog, parts: InferenceParts): Promise<void> {
  const model = parts.models.find(chat.request.model);
  const ending: Ending = { finishReason: undefined, usage: undefined };
  let content = "";
  await generate(model, chat.request, exchange, { progress: requestLog.progress, now: parts.now }, (batch) => {
    for (const { text } of batch) content += text;
    readEnding(batch, ending);
    return undefined;
  });
  const { finishReason, usage } = requireFinish(ending);
  sendJson(exchange.response, 200, toCompletion(toChunkOptions(exchange, chat, parts), content, finishReason, usage));
  requestLog.responded(200);
}

async function streamChat(exchange: Exchange, chat: ChatRequest, requestLog: RequestLog, parts: InferenceParts): Promise<void> {
  const model = parts.models.find(chat.request.model);
  const format = createChunkFormat(toChunkOptions(exchange, chat, parts));
  const ending: Ending = { finishReason: undefined, usage: undefined };
  let events: EventStream | undefined;
  try {
    // Headers wait for the first batch: what fails before it is a plain error with its own status.
    await generate(model, chat.request, exchange, { progress: requestLog.progress, now: parts.now }, (batch) => {
      if (!events) {
        events = openEventStream(exchange.response);
        requestLog.responded(200);
      }
      readEnding(batch, ending);
      return events.write(format.batch(batch));
    });
    const { usage } = requireFinish(ending);
    events?.end(format.end(usage));
  } catch (error) {
    if (!events || exchange.signal.aborted) throw error;
    const failure = toRuntimeError(error);
    requestLog.fail(failure);
    events.end(`data: ${JSON.stringify(toErrorBody(failure))}\n\n`);
  }
}
