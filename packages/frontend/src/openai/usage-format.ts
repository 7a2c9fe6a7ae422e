/** Counts of tokens as OpenAI's APIs have them. */
import { countJobTokens, tokensOf, type ModelJob } from "@dyn/runtime/internal";
import type { Delta, Usage } from "@dyn/runtime/llm";
import type { UsageOptions } from "./sampling.ts";

/** Clients read the details without asking whether they are there: what an engine does not say is 0. */
export function toUsage(usage: Usage): Record<string, unknown> {
  const { promptTokens, completionTokens, cachedTokens = 0, reasoningTokens = 0 } = usage;
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
    completion_tokens_details: { reasoning_tokens: reasoningTokens },
  };
}

/** What ends the events of a stream after their choices. */
export class UsageTail {
  readonly #job: ModelJob;
  #usage: Usage | undefined;
  /** True if it changes with each delta. */
  readonly isContinuous: boolean;
  readonly #plain: string;

  constructor(job: ModelJob, { includeUsage, isUsageContinuous }: UsageOptions) {
    this.#job = job;
    this.isContinuous = isUsageContinuous;
    this.#plain = includeUsage ? `],"usage":null}\n\n` : `]}\n\n`;
  }

  /** Before the first delta; of all events, if it does not change. */
  first(): string {
    return this.isContinuous ? this.add(undefined) : this.#plain;
  }

  /** With a further delta. Tokens of a prompt are counted by words until the engine says how many they are. */
  add(delta: Delta | undefined): string {
    this.#usage = addDelta(this.#usage ?? { promptTokens: countJobTokens(this.#job), completionTokens: 0 }, delta);
    return `],"usage":${JSON.stringify(toUsage(this.#usage))}}\n\n`;
  }
}

function addDelta({ reasoningTokens = 0, ...before }: Usage, delta: Delta | undefined): Usage {
  if (!delta) return before;
  const tokens = tokensOf(delta);
  const thought = delta.text === "" && delta.reasoning !== undefined ? tokens : 0;
  const counted = { completionTokens: before.completionTokens + tokens, reasoningTokens: reasoningTokens + thought };
  return { ...before, ...counted, ...delta.usage };
}
