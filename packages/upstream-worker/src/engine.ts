/** An engine that asks a server of OpenAI's API. */
import type { RequestContext } from "@dyn/runtime";
import type { Delta, Engine, ModelRequest } from "@dyn/runtime/llm";
import { toBody } from "./body.ts";
import { Answer } from "./deltas.ts";
import { readEvents, maxEventChars } from "./events.ts";
import { toProtocolError, toStatusError } from "./failures.ts";
import type { Reply, UpstreamHttp } from "./http.ts";
import type { UpstreamOptions } from "./options.ts";

export interface EngineParts {
  readonly http: UpstreamHttp;
  /** The model's name there. */
  readonly model: string;
  readonly maxTokensField: UpstreamOptions["maxTokensField"];
  /** Headers that prove who asks; read for each request. */
  readonly authorize: () => Promise<Readonly<Record<string, string>>>;
}

/** Of an error's body: the rest is not looked at. */
const maxErrorBytes = 65_536;

export function createUpstreamEngine({ http, model, maxTokensField, authorize }: EngineParts): Engine {
  return async function* upstream(request: ModelRequest, context: RequestContext): AsyncGenerator<Delta, void> {
    const { path, json } = toBody(request, model, maxTokensField);
    const headers = { ...toHeaders(context), ...(await authorize()) };
    using reply = await http.ask({ method: "POST", path, headers, body: json, signal: context.signal });
    tell(reply, context);
    if (reply.status !== 200) throw toStatusError(reply.status, reply.headers, await readText(reply, maxErrorBytes));
    const answer = new Answer();
    try {
      for await (const data of readAnswer(reply)) {
        const delta = answer.read(data);
        if (delta) yield delta;
        if (answer.isDone) break; // some servers keep the connection open after [DONE]
      }
      reply.release();
    } catch (error) {
      if (!answer.isFinished || context.signal.aborted) throw error; // only the usage is missing
    }
    yield answer.end();
  };
}

// The request keeps its ids and its place in the trace.
function toHeaders({ requestId, xRequestId, traceparent, tracestate }: RequestContext): Record<string, string> {
  return {
    "content-type": "application/json",
    accept: "text/event-stream",
    "user-agent": "dyn-upstream-worker",
    "x-request-id": xRequestId ?? requestId,
    traceparent,
    ...(tracestate !== undefined && { tracestate }),
  };
}

const rateLimitHeader = /^x-ratelimit-[\w-]{1,48}$/;
const maxRateLimits = 16;

/** What the upstream says about its caller and about this request. */
function tell({ headers }: Reply, { report, setResponseHeaders }: RequestContext): void {
  const id = headers["x-request-id"] ?? headers["request-id"];
  if (typeof id === "string") report({ upstream_request_id: id });
  const limits = Object.entries(headers)
    .filter(
      ([name, value]) => rateLimitHeader.test(name) && typeof value === "string" && /^[\x20-\x7e]{1,100}$/.test(value),
    )
    .slice(0, maxRateLimits);
  if (limits.length > 0) setResponseHeaders(Object.fromEntries(limits) as Record<string, string>);
}

// A server that does not stream answers in one piece: that is one event.
async function* readAnswer(reply: Reply): AsyncGenerator<string> {
  const type = reply.headers["content-type"] ?? "";
  if (type.startsWith("text/event-stream")) yield* readEvents(reply.body);
  else if (/^application\/(?:[\w.-]+\+)?json/.test(type)) yield await readText(reply, maxEventChars);
  else throw toProtocolError(`an answer of type ${JSON.stringify(type)}, not text/event-stream: see --url`);
}

async function readText(reply: Reply, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of reply.body) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= maxBytes) break;
  }
  return Buffer.concat(chunks).subarray(0, maxBytes).toString();
}
