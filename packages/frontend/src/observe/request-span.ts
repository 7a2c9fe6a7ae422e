/** What the `http-request` span says of an inference request. */
import { excerpt, type Span } from "@dyn/runtime/internal";
import type { RequestRecord } from "./request-record.ts";

/** Those of the facts that the span has, too. */
const shownFacts = [
  "attempts",
  "worker_id",
  "prefill_worker_id",
  "decode_worker_id",
  "input_tokens",
  "output_tokens",
  "reasoning_tokens",
  "ttft_ms",
  "avg_itl_ms",
  "elapsed_ms",
] as const;

const operations: Readonly<Record<string, string>> = {
  chat_completions: "chat",
  completions: "text_completion",
  anthropic_messages: "chat",
  responses: "chat",
  responses_compact: "chat",
};
const maxMessageChars = 1_024;

/** Say all of it, once. */
export function describeRequest(span: Span, request: RequestRecord): void {
  const { facts, model, finishReasons, clock, failure, outcome } = request;
  const { endpoint, requestType: request_type, modelAsked, isTokenless, parsedAt } = request.start;
  span.setAttributes({
    ...Object.fromEntries(shownFacts.map((name) => [name, facts[name]])),
    model,
    request_type,
    "request.outcome": outcome,
    endpoint,
    "gen_ai.operation.name": operations[endpoint],
    "gen_ai.request.model": isTokenless === true ? undefined : modelAsked,
    "gen_ai.usage.input_tokens": facts["input_tokens"],
    "gen_ai.usage.output_tokens": facts["output_tokens"],
    "gen_ai.response.finish_reasons": finishReasons.length > 0 ? finishReasons : undefined,
  });
  span.addEvent("parsed", parsedAt);
  if (clock.firstAt !== undefined) span.addEvent("first token", clock.firstAt);
  if (clock.lastAt !== undefined) span.addEvent("last token", clock.lastAt);
  if (!failure || failure.code === "cancelled") return;
  // What the client did wrong is no error of this server: its span has an error type, but no error status.
  if (failure.traits.status < 500) span.setAttributes({ "error.type": failure.code });
  else span.fail(failure.code, excerpt(failure.message, maxMessageChars));
}
