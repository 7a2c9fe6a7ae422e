/** The `http-request` span: what it says of HTTP, and when it is over. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "../logging/logger.ts";
import type { Identity } from "../trace/identity.ts";
import type { Attributes, Span, Tracer } from "../trace/spans.ts";

export interface RequestSpan {
  /** The work is done, and `describe` says how. The span ends when the response has closed, too: a client that leaves closes it first. */
  complete(describe: (span: Span) => void): void;
}

export interface RequestSpanOptions {
  readonly tracer: Tracer;
  readonly identity: Identity;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly scheme: "http" | "https";
  /** Pattern of the route, if there is one. */
  readonly route: string | undefined;
  /** False for requests that have no request log: the span ends with the response. */
  readonly isLogged: boolean;
  readonly startedAt: number;
  readonly log: Logger;
}

/** Begin the span; undefined if nobody will see it. One that fails ends no request: the log says it. */
export function openRequestSpan(options: RequestSpanOptions): RequestSpan | undefined {
  try {
    return openSpan(options);
  } catch (error) {
    tellFault(options.log, error);
    return undefined;
  }
}

function tellFault(log: Logger, error: unknown): void {
  log.summed("error", { error }, "the span of a request failed, the request goes on");
}

function openSpan(options: RequestSpanOptions): RequestSpan | undefined {
  const { tracer, identity, response, startedAt, isLogged, log } = options;
  const span = tracer.startSpan("http-request", "server", identity.trace, startedAt);
  if (!span.isRecording) return undefined;
  span.setAttributes(toRequestAttributes(options));
  let isCompleted = !isLogged;
  let isClosed = false;
  response.once("close", () => {
    isClosed = true;
    try {
      span.setAttributes({ "http.response.status_code": response.headersSent ? response.statusCode : undefined });
      if (isCompleted) span.end();
    } catch (error) {
      tellFault(log, error);
    }
  });
  return {
    complete(describe) {
      isCompleted = true;
      try {
        describe(span);
      } finally {
        if (isClosed) span.end();
      }
    },
  };
}

// Dynamo's names, and those of OpenTelemetry's HTTP conventions beside them. https://opentelemetry.io/docs/specs/semconv/http/http-spans/
function toRequestAttributes({ identity, request, scheme, route }: RequestSpanOptions): Attributes {
  const { method, url = "", httpVersion } = request;
  return {
    request_id: identity.requestId,
    x_request_id: identity.xRequestId,
    method,
    uri: url,
    version: `HTTP/${httpVersion}`,
    "http.request.method": method,
    "http.route": route,
    "url.path": url.split("?", 1)[0],
    "url.scheme": scheme,
  };
}
