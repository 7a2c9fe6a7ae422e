/** What the `http-request` span says of an inference request. */
import type { RuntimeError } from "@dyn/runtime";
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

const operations: Readonly<Record<string, string>> = {
  chat_completions: "chat",
  completions: "text_completion",
  anthropic_messages: "chat",
};
const maxMessageChars = 1_024;

/** Say all of it, once. */
export function describeRequest(span: Span, report: RequestReport): void {
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
