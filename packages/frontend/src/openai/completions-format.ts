/** Plain completions as OpenAI writes them: chunks of a stream, or one completion. */
import type { GenerateResult } from "../inference/transcript.ts";
import type { AnswerHead, StreamFormat } from "../inference/api.ts";
import { toUsage } from "./chat-format.ts";
import type { CompletionRequest } from "./completions-schema.ts";

/** Each echo is one chunk, as is each delta; the last of a choice has its finish reason. */
export function createCompletionStream(
  { job, echoes, includeUsage }: CompletionRequest,
  { requestId, created }: AnswerHead,
): StreamFormat {
  const head = `data: {"id":"cmpl-${requestId}","object":"text_completion","created":${created},"model":${JSON.stringify(job.model)},"choices":[`;
  const tail = includeUsage ? `],"usage":null}\n\n` : `]}\n\n`;
  const chunk = (text: string, index: number, reason: string): string =>
    `${head}{"text":${JSON.stringify(text)},"index":${index},"logprobs":null,"finish_reason":${reason}}${tail}`;
  return {
    ...(echoes.some((echo) => echo !== "") && { opening: toOpening(echoes, chunk) }),
    batch(deltas) {
      let events = "";
      for (const { text, choice = 0, finishReason } of deltas) {
        if (finishReason !== undefined) events += chunk(text, choice, `"${finishReason}"`);
        else if (text !== "") events += chunk(text, choice, "null");
      }
      return events;
    },
    end({ usage }) {
      const last = includeUsage ? `${head}],"usage":${JSON.stringify(toUsage(usage))}}\n\n` : "";
      return `${last}data: [DONE]\n\n`;
    },
  };
}

function* toOpening(
  echoes: readonly string[],
  chunk: (text: string, index: number, reason: string) => string,
): Generator<string, void, void> {
  for (const [index, echo] of echoes.entries()) if (echo !== "") yield chunk(echo, index, "null");
}

/** The body of a unary answer. */
export function toTextCompletion(
  { job, echoes }: CompletionRequest,
  { requestId, created }: AnswerHead,
  { choices, usage }: GenerateResult,
): unknown {
  return {
    id: `cmpl-${requestId}`,
    object: "text_completion",
    created,
    model: job.model,
    choices: choices.map(({ text, finishReason }, index) => ({
      text: `${echoes[index] ?? ""}${text}`,
      index,
      logprobs: null,
      finish_reason: finishReason,
    })),
    usage: toUsage(usage),
  };
}
