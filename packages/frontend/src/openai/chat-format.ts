/** Chat completions as OpenAI writes them: chunks of a stream, or one completion. */
import type { FinishReason, Usage } from "@dyn/runtime/llm";
import type { GenerateResult } from "../inference/transcript.ts";
import type { AnswerHead, StreamFormat } from "../inference/api.ts";
import type { ChatRequest } from "./chat-schema.ts";

export function toUsage({ promptTokens, completionTokens, cachedTokens }: Usage): Record<string, unknown> {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    ...(cachedTokens !== undefined && { prompt_tokens_details: { cached_tokens: cachedTokens } }),
  };
}

/** Each choice begins with its role; each delta is one chunk; a chunk with the finish reason ends the choice. */
export function createChatStream({ job, includeUsage }: ChatRequest, { requestId, created }: AnswerHead): StreamFormat {
  const head = `data: {"id":"chatcmpl-${requestId}","object":"chat.completion.chunk","created":${created},"model":${JSON.stringify(job.model)},"choices":[`;
  const tail = includeUsage ? `],"usage":null}\n\n` : `]}\n\n`;
  const before = Array.from({ length: job.n ?? 1 }, (_, index) => `${head}{"index":${index},"delta":{"content":`);
  const after = `},"logprobs":null,"finish_reason":null}${tail}`;
  const finish = (index: number, reason: FinishReason): string =>
    `${head}{"index":${index},"delta":{},"logprobs":null,"finish_reason":"${reason}"}${tail}`;
  const begin = (index: number): string =>
    `${head}{"index":${index},"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}${tail}`;
  let begun = false;
  return {
    batch(deltas) {
      let events = begun ? "" : before.map((_, index) => begin(index)).join("");
      begun = true;
      for (const { text, choice = 0, finishReason } of deltas) {
        if (text !== "") events += before[choice] + JSON.stringify(text) + after;
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

/** The body of a unary answer. */
export function toChatCompletion(
  { job }: ChatRequest,
  { requestId, created }: AnswerHead,
  { choices, usage }: GenerateResult,
): unknown {
  return {
    id: `chatcmpl-${requestId}`,
    object: "chat.completion",
    created,
    model: job.model,
    choices: choices.map(({ text, finishReason }, index) => ({
      index,
      message: { role: "assistant", content: text, refusal: null },
      logprobs: null,
      finish_reason: finishReason,
    })),
    usage: toUsage(usage),
  };
}
