/** Chat completions as OpenAI writes them: chunks of a stream, or one completion. */
import type { Delta, FinishReason, ToolCall } from "@dyn/runtime/llm";
import { isSaid, type AnswerResult } from "../inference/logprobs.ts";
import type { AnswerHead, StreamFormat } from "../inference/api.ts";
import type { ChatRequest } from "./chat-schema.ts";
import { toChatLogprobs } from "./logprobs-format.ts";
import { ToolCallChunks, toToolCall } from "./tool-call-format.ts";
import { toUsage, UsageTail } from "./usage-format.ts";

/** Each choice begins with its role; each delta is one chunk; a chunk with the finish reason ends the choice. */
export function createChatStream(request: ChatRequest, { requestId, created }: AnswerHead): StreamFormat {
  const { job, includeUsage } = request;
  const head = `data: {"id":"chatcmpl-${requestId}","object":"chat.completion.chunk","created":${created},"model":${JSON.stringify(job.model)},"choices":[`;
  const counts = new UsageTail(job, request);
  let tail = counts.first();
  const before = Array.from({ length: job.n ?? 1 }, (_, index) => `${head}{"index":${index},"delta":{"content":`);
  let after = `},"logprobs":null,"finish_reason":null}${tail}`;
  const count = (delta: Delta): void => {
    tail = counts.add(delta);
    after = `},"logprobs":null,"finish_reason":null}${tail}`;
  };
  const think = (index: number, reasoning: string): string =>
    `${head}{"index":${index},"delta":{"reasoning_content":${JSON.stringify(reasoning)}},"logprobs":null,"finish_reason":null}${tail}`;
  const finish = (index: number, reason: FinishReason): string =>
    `${head}{"index":${index},"delta":{},"logprobs":null,"finish_reason":"${reason}"}${tail}`;
  const begin = (index: number, content: string): string =>
    `${head}{"index":${index},"delta":{"role":"assistant","content":${content}},"logprobs":null,"finish_reason":null}${tail}`;
  const calls = new Map<number, ToolCallChunks>();
  const toCalls = (choice: number, { toolCalls = [] }: Delta): string => {
    const chunks = calls.get(choice) ?? new ToolCallChunks();
    calls.set(choice, chunks);
    const toChunk = (list: string): string =>
      `${head}{"index":${choice},"delta":{"tool_calls":${list}},"logprobs":null,"finish_reason":null}${tail}`;
    return toolCalls.map((piece) => toChunk(chunks.write(piece))).join("");
  };
  const withLogprobs = (choice: number, { text, logprobs = [] }: Delta): string =>
    `${before[choice]}${JSON.stringify(text)}},"logprobs":${JSON.stringify(toChatLogprobs(logprobs))},"finish_reason":null}${tail}`;
  let begun = false;
  return {
    batch(deltas) {
      let events = begun ? "" : before.map((_, index) => begin(index, firstContent(deltas, index))).join("");
      begun = true;
      for (const delta of deltas) {
        const { text, reasoning, choice = 0, finishReason } = delta;
        if (counts.isContinuous) count(delta);
        if (reasoning !== undefined && reasoning !== "") events += think(choice, reasoning);
        if (job.logprobs && delta.logprobs && isSaid(delta)) events += withLogprobs(choice, delta);
        else if (text !== "") events += before[choice] + JSON.stringify(text) + after;
        if (delta.toolCalls) events += toCalls(choice, delta);
        if (finishReason !== undefined) events += finish(choice, finishReason);
      }
      return events;
    },
    end({ usage }) {
      const last = includeUsage ? `${head}],"usage":${JSON.stringify(toUsage(usage))}}\n\n` : "";
      return `${last}data: [DONE]\n\n`;
    },
  };
}

// A choice that begins with a call or with thinking has no text so far.
function firstContent(deltas: readonly Delta[], index: number): "null" | '""' {
  const first = deltas.find(({ choice = 0 }) => choice === index);
  return first?.text === "" && (first.toolCalls ?? first.reasoning) !== undefined ? "null" : '""';
}

/** The body of a unary answer. */
export function toChatCompletion(
  { job }: ChatRequest,
  { requestId, created }: AnswerHead,
  { choices, usage, logprobsOf }: AnswerResult,
): unknown {
  return {
    id: `chatcmpl-${requestId}`,
    object: "chat.completion",
    created,
    model: job.model,
    choices: choices.map(({ text, reasoning, toolCalls, finishReason }, index) => ({
      index,
      message: {
        role: "assistant",
        content: text,
        refusal: null,
        ...(reasoning !== "" && { reasoning_content: reasoning }),
        ...toCalled(text, toolCalls),
      },
      logprobs: logprobsOf ? toChatLogprobs(logprobsOf(index).pieces.flatMap(({ tokens }) => tokens)) : null,
      finish_reason: finishReason,
    })),
    usage: toUsage(usage),
  };
}

function toCalled(text: string, toolCalls: readonly ToolCall[]): Record<string, unknown> {
  if (toolCalls.length === 0) return {};
  return { content: text === "" ? null : text, tool_calls: toolCalls.map(toToolCall) };
}
