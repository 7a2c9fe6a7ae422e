/** Plain completions as OpenAI writes them: chunks of a stream, or one completion. */
import { countCharacters } from "@dyn/runtime/internal";
import type { Delta, PromptLogprob } from "@dyn/runtime/llm";
import type { AnswerResult } from "../inference/logprobs.ts";
import type { AnswerHead, StreamFormat } from "../inference/api.ts";
import type { CompletionRequest } from "./completions-schema.ts";
import { addTextLogprobs, createTextLogprobs, toTextLogprobs } from "./logprobs-format.ts";
import { toUsage, UsageTail } from "./usage-format.ts";

type ToChunk = (text: string, index: number, end: { readonly reason: string; readonly logprobs: string }) => string;

const open = { reason: "null", logprobs: "null" };

/** Each echo is one chunk, as is each delta; the last of a choice has its finish reason. */
export function createCompletionStream(request: CompletionRequest, { requestId, created }: AnswerHead): StreamFormat {
  const { job, echoes, includeUsage, echoesTokens } = request;
  const head = `data: {"id":"cmpl-${requestId}","object":"text_completion","created":${created},"model":${JSON.stringify(job.model)},"choices":[`;
  const counts = new UsageTail(job, request);
  let tail = counts.first();
  const chunk: ToChunk = (text, index, { reason, logprobs }) =>
    `${head}{"text":${JSON.stringify(text)},"index":${index},"logprobs":${logprobs},"finish_reason":${reason}}${tail}`;
  const likely = job.logprobs && createLikelyChunks(request, chunk);
  return {
    ...(!echoesTokens && echoes.some((echo) => echo !== "") && { opening: toOpening(echoes, chunk) }),
    batch(deltas) {
      let events = "";
      for (const delta of deltas) {
        const { text, choice = 0, finishReason } = delta;
        if (counts.isContinuous) tail = counts.add(delta);
        const end = finishReason === undefined ? open : { reason: `"${finishReason}"`, logprobs: "null" };
        if (likely) events += likely(delta, end.reason);
        else if (text !== "" || end !== open) events += chunk(text, choice, end);
      }
      return events;
    },
    end({ usage }) {
      const last = includeUsage ? `${head}],"usage":${JSON.stringify(toUsage(usage))}}\n\n` : "";
      return `${last}data: [DONE]\n\n`;
    },
  };
}

// Chunks of tokens: the prompt's are one, if it is echoed, then those of each delta.
function createLikelyChunks(
  { echoes, echoesTokens }: CompletionRequest,
  chunk: ToChunk,
): (delta: Delta, reason: string) => string {
  const begins = echoes.map((): number | undefined => (echoesTokens ? undefined : 0));
  const toChunk = (text: string, choice: number, reason: string, tokens: readonly PromptLogprob[]): string => {
    const logprobs = createTextLogprobs();
    const begin = begins[choice] ?? 0;
    addTextLogprobs(logprobs, begin, tokens);
    begins[choice] = begin + countCharacters(text);
    return chunk(text, choice, { reason, logprobs: JSON.stringify(logprobs) });
  };
  return ({ text, choice = 0, logprobs = [], promptLogprobs }, reason) => {
    let events = "";
    if (promptLogprobs && begins[choice] === undefined)
      events = toChunk(toEcho(echoes[choice], promptLogprobs), choice, "null", promptLogprobs);
    const isSilent = text === "" && logprobs.length === 0 && reason === "null";
    return isSilent ? events : events + toChunk(text, choice, reason, logprobs);
  };
}

// Of token ids it is the text of the engine's tokens.
function toEcho(echo: string | undefined, prompt: readonly PromptLogprob[]): string {
  return echo ?? prompt.map(({ token }) => token).join("");
}

function* toOpening(echoes: CompletionRequest["echoes"], chunk: ToChunk): Generator<string, void, void> {
  for (const [index, echo = ""] of echoes.entries()) if (echo !== "") yield chunk(echo, index, open);
}

/** The body of a unary answer. */
export function toTextCompletion(
  { job, echoes, echoesTokens }: CompletionRequest,
  { requestId, created }: AnswerHead,
  { choices, usage, logprobsOf }: AnswerResult,
): unknown {
  return {
    id: `cmpl-${requestId}`,
    object: "text_completion",
    created,
    model: job.model,
    choices: choices.map(({ text, finishReason }, index) => {
      const likely = logprobsOf?.(index);
      const prompt = (echoesTokens && likely?.prompt) || [];
      const echo = toEcho(echoes[index], prompt);
      return {
        text: `${echo}${text}`,
        index,
        logprobs: likely ? toTextLogprobs(prompt, echo, likely.pieces) : null,
        finish_reason: finishReason,
      };
    }),
    usage: toUsage(usage),
  };
}
