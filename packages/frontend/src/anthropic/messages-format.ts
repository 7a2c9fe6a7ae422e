/** Messages as Anthropic writes them: named events of a stream, or one message. */
import type { Delta, FinishReason, Usage } from "@dyn/runtime/llm";
import { countPromptTokens } from "@dyn/runtime/internal";
import type { Choice, GenerateResult } from "../inference/transcript.ts";
import { BlockEvents, event, toBlocks, type ThinkingShown } from "./blocks.ts";
import type { AnswerHead, StreamFormat } from "../inference/api.ts";
import type { MessagesRequest } from "./messages-schema.ts";

const stopReasons: Readonly<Record<FinishReason, string>> = {
  stop: "end_turn",
  length: "max_tokens",
  tool_calls: "tool_use",
  content_filter: "refusal",
};

interface Stop {
  readonly stop_reason: string;
  readonly stop_sequence: string | null;
}

function toStop({ finishReason, stopText }: Choice): Stop {
  if (stopText !== undefined) return { stop_reason: "stop_sequence", stop_sequence: stopText };
  return { stop_reason: stopReasons[finishReason], stop_sequence: null };
}

// Clients add the counts up: what was found in a cache is part of the first.
function toUsage({ promptTokens, completionTokens, reasoningTokens = 0 }: Usage): Record<string, unknown> {
  return {
    input_tokens: promptTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    output_tokens: completionTokens,
    output_tokens_details: { thinking_tokens: reasoningTokens },
  };
}

function toShown({ omitsThinking }: MessagesRequest, { requestId }: AnswerHead): ThinkingShown {
  return { isOmitted: omitsThinking, requestId };
}

/** message_start, blocks of thinking, of text and of tool calls, message_delta with the stop reason and usage, message_stop. */
export function createMessageStream(request: MessagesRequest, head: AnswerHead): StreamFormat {
  const { job } = request;
  const blocks = new BlockEvents(toShown(request, head));
  let begun = false;
  return {
    batch(deltas) {
      let events = begun ? "" : begin(job, head, deltas);
      begun = true;
      for (const delta of deltas) events += blocks.write(delta);
      return events;
    },
    end({ choices: [choice], usage }) {
      const delta = choice ? toStop(choice) : { stop_reason: "end_turn", stop_sequence: null };
      return blocks.end() + event("message_delta", { delta, usage: toUsage(usage) }) + event("message_stop");
    },
  };
}

// What its engine has counted by then, or else the runtime's own count: the worker may say otherwise at the end.
function begin(job: MessagesRequest["job"], { requestId }: AnswerHead, first: readonly Delta[]): string {
  const told = first.find((delta) => delta.usage?.promptTokens !== undefined)?.usage?.promptTokens;
  const usage = toUsage({ promptTokens: told ?? countPromptTokens(job), completionTokens: 0 });
  const message = {
    id: `msg_${requestId}`,
    type: "message",
    role: "assistant",
    model: job.model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage,
  };
  return event("message_start", { message });
}

/** The body of a unary answer. */
export function toMessage(request: MessagesRequest, head: AnswerHead, { choices, usage }: GenerateResult): unknown {
  const [choice] = choices;
  return {
    id: `msg_${head.requestId}`,
    type: "message",
    role: "assistant",
    model: request.job.model,
    content: toBlocks(choice ?? { text: "", reasoning: "", toolCalls: [] }, toShown(request, head)),
    ...(choice && toStop(choice)),
    usage: toUsage(usage),
  };
}
