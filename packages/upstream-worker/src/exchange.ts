/** One question to the upstream for one request of a client, up to the head of its answer. */
import type { RequestContext, RuntimeError } from "@dyn/runtime";
import { toStatusError } from "./failures.ts";
import type { Reply, UpstreamHttp } from "./http.ts";

/** What it takes to ask. */
export interface Asking {
  readonly http: UpstreamHttp;
  /** Headers that prove who asks; read for each request. */
  readonly authorize: () => Promise<Readonly<Record<string, string>>>;
}

/** What is asked. */
export interface Question {
  readonly path: string;
  readonly json: string;
  /** What the answer may come as. */
  readonly accept: string;
}

/** Of an error's body: the rest is not looked at. */
const maxErrorBytes = 65_536;

/** Ask, and report whose answer it is, whatever it is. */
export async function ask({ path, json, accept }: Question, asking: Asking, context: RequestContext): Promise<Reply> {
  const headers = { ...toHeaders(context), accept, ...(await asking.authorize()) };
  const reply = await asking.http.ask({ method: "POST", path, headers, body: json, signal: context.signal });
  tell(reply, context);
  return reply;
}

/** What an answer that is none of success says. */
export async function readFailure(reply: Reply): Promise<RuntimeError> {
  return toStatusError(reply.status, reply.headers, await readText(reply, maxErrorBytes));
}

// The request keeps its ids and its place in the trace.
function toHeaders({ requestId, xRequestId, traceparent, tracestate }: RequestContext): Record<string, string> {
  return {
    "content-type": "application/json",
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

/** The beginning of a body, at most so many bytes of it. */
export async function readText(reply: Reply, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of reply.body) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= maxBytes) break;
  }
  return Buffer.concat(chunks).subarray(0, maxBytes).toString();
}
