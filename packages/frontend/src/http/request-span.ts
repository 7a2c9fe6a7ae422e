/** The `http-request` span: what it says, and when it is over. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Identity, RuntimeError, Tracer } from "@dyn/runtime";
import { excerpt, toOutcome, type Attributes, type Span } from "@dyn/runtime/internal";

/** What the request log knows when it closes. Times are ms on the clock of `performance.now()`. */
export interface RequestReport {
  /** Fields of `request completed`. */
  readonly fields: Attributes;
  readonly endpoint: string;
  readonly modelRequested: string | undefined;
  readonly finishReasons: readonly string[];
  /** When the body had been read and parsed. */
  readonly parsedAt: number;
  readonly firstTokenAt: number | undefined;
  readonly lastTokenAt: number | undefined;
  readonly failure: RuntimeError | undefined;
}

export interface RequestSpan {
  /** The work is done. The span ends when the response has closed, too: a client that leaves closes it first. */
  complete(report: RequestReport): void;
}

export interface RequestSpanOptions {
  readonly tracer: Tracer;
  readonly identity: Identity;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Pattern of the route, if there is one. */
  readonly route: string | undefined;
  /** False for requests that have no request log: the span ends with the response. */
  readonly isLogged: boolean;
  readonly startedAt: number;
}

const operations: Readonly<Record<string, string>> = {
  chat_completions: "chat",
  completions: "text_completion",
  anthropic_messages: "chat",
};
const maxMessageChars = 1_024;

/** Begin the span; undefined if nobody will see it. */
export function openRequestSpan(options: RequestSpanOptions): RequestSpan | undefined {
  const { tracer, identity, request, response, startedAt, isLogged } = options;
  const span = tracer.startSpan("http-request", "server", identity.trace, startedAt);
  if (!span.isRecording) return undefined;
  span.setAttributes(toRequestAttributes(identity, request, options.route));
  let isCompleted = !isLogged;
  let isClosed = false;
  response.once("close", () => {
    isClosed = true;
    span.setAttributes({ "http.response.status_code": response.headersSent ? response.statusCode : undefined });
    if (isCompleted) span.end();
  });
  return {
    complete(report) {
      isCompleted = true;
      describe(span, report);
      if (isClosed) span.end();
    },
  };
}

// Dynamo's names, and those of OpenTelemetry's HTTP conventions beside them. https://opentelemetry.io/docs/specs/semconv/http/http-spans/
function toRequestAttributes(
  { requestId, xRequestId }: Identity,
  { method, url = "", httpVersion }: IncomingMessage,
  route: string | undefined,
): Attributes {
  return {
    request_id: requestId,
    x_request_id: xRequestId,
    method,
    uri: url,
    version: `HTTP/${httpVersion}`,
    "http.request.method": method,
    "http.route": route,
    "url.path": url.split("?", 1)[0],
    "url.scheme": "http",
  };
}

function describe(span: Span, report: RequestReport): void {
  const { fields, endpoint, modelRequested, finishReasons, parsedAt, firstTokenAt, lastTokenAt, failure } = report;
  span.setAttributes({
    ...fields,
    "request.outcome": toOutcome(failure),
    endpoint,
    "gen_ai.operation.name": operations[endpoint],
    "gen_ai.request.model": modelRequested,
    "gen_ai.usage.input_tokens": fields["input_tokens"],
    "gen_ai.usage.output_tokens": fields["output_tokens"],
    "gen_ai.response.finish_reasons": finishReasons.length > 0 ? finishReasons : undefined,
  });
  span.addEvent("parsed", parsedAt);
  if (firstTokenAt !== undefined) span.addEvent("first token", firstTokenAt);
  if (lastTokenAt !== undefined) span.addEvent("last token", lastTokenAt);
  if (!failure || failure.code === "cancelled") return;
  // What the client did wrong is no error of this server: its span has an error type, but no error status.
  if (failure.traits.status < 500) span.setAttributes({ "error.type": failure.code });
  else span.fail(failure.code, excerpt(failure.message, maxMessageChars));
}
