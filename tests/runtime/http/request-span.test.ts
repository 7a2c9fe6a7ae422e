// A span is for those who look at traces: what is wrong with it is no matter of the request.
import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import {
  openRequestSpan,
  type RequestSpan,
  type RequestSpanOptions,
} from "../../../packages/runtime/src/http/request-span.ts";
import { acceptTrace } from "../../../packages/runtime/src/trace/traceparent.ts";
import { createLogger } from "../../support/logger.ts";
import { noSpan, type Span, type Tracer } from "../../../packages/runtime/src/trace/spans.ts";

/** `failing`: from which call of `setAttributes` on it throws. */
function open(failing: number): { span: RequestSpan | undefined; close: () => void; lines: unknown[] } {
  const lines: unknown[] = [];
  const response = Object.assign(new EventEmitter(), { headersSent: true, statusCode: 200 });
  let calls = 0;
  const span: Span = {
    ...noSpan,
    isRecording: true,
    setAttributes() {
      calls += 1;
      if (calls >= failing) throw new Error("no attribute");
    },
  };
  const options = {
    tracer: { startSpan: () => span } as unknown as Tracer,
    identity: { requestId: "r", trace: acceptTrace(undefined) },
    request: { method: "GET", url: "/", httpVersion: "1.1" },
    response,
    scheme: "http",
    route: "/",
    isLogged: true,
    startedAt: 0,
    log: createLogger({ sink: ({ message }) => void lines.push(message) }),
  } as unknown as RequestSpanOptions; // all that is used of them
  return { span: openRequestSpan(options), close: () => void response.emit("close"), lines };
}

test("a span that cannot begin is none, and the log says it", () => {
  const { span, lines } = open(1);
  expect(span).toBeUndefined();
  expect(lines).toEqual(["the span of a request failed, the request goes on"]);
});

test("a span that fails when the connection closes does not end the process", () => {
  const { span, close, lines } = open(2);
  expect(span).toBeDefined();
  close();
  expect(lines).toEqual(["the span of a request failed, the request goes on"]);
});
