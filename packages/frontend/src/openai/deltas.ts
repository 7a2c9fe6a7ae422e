/** Deltas as OpenAI writes them: chunks of a stream, or one completion. */
import type { Delta, FinishReason, Usage } from "@dyn/runtime/llm";

export interface ChunkOptions {
  readonly id: string;
  /** Unix time, s. */
  readonly created: number;
  readonly model: string;
  readonly includeUsage: boolean;
}

/** Formats the events of one stream. Everything but the text is fixed, so it is built once. */
export interface ChunkFormat {
  /** All events of one batch, joined. */
  batch(deltas: readonly Delta[]): string;
  /** What follows the last delta. */
  end(usage: Usage | undefined): string;
}

export function toUsage({ promptTokens, completionTokens }: Usage): Record<string, number> {
  return { prompt_tokens: promptTokens, completion_tokens: completionTokens, total_tokens: promptTokens + completionTokens };
}

export function createChunkFormat({ id, created, model, includeUsage }: ChunkOptions): ChunkFormat {
  const head = `data: {"id":${JSON.stringify(id)},"object":"chat.completion.chunk","created":${created},"model":${JSON.stringify(model)},"choices":[`;
  const usageNull = includeUsage ? `,"usage":null` : "";
  const before = `${head}{"index":0,"delta":{"content":`;
  const after = `},"logprobs":null,"finish_reason":null}]${usageNull}}\n\n`;
  const finish = (reason: FinishReason): string => `${head}{"index":0,"delta":{},"logprobs":null,"finish_reason":"${reason}"}]${usageNull}}\n\n`;
  let begun = false;
  return {
    batch(deltas) {
      let events = "";
      if (!begun) {
        begun = true;
        events = `${head}{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]${usageNull}}\n\n`;
      }
      for (const { text, finishReason } of deltas) {
        if (text !== "") events += before + JSON.stringify(text) + after;
        if (finishReason !== undefined) events += finish(finishReason);
      }
      return events;
    },
    end(usage) {
      const last = includeUsage && usage ? `${head}],"usage":${JSON.stringify(toUsage(usage))}}\n\n` : "";
      return `${last}data: [DONE]\n\n`;
    },
  };
}

/** The body of a unary answer. */
export function toCompletion({ id, created, model }: ChunkOptions, content: string, finishReason: FinishReason, usage: Usage): unknown {
  return {
    id,
    object: "chat.completion",
    created,
    model,
    choices: [{ index: 0, message: { role: "assistant", content, refusal: null }, logprobs: null, finish_reason: finishReason }],
    usage: toUsage(usage),
  };
}
