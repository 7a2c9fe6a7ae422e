/** What a completion came to: what its engine says, wherever it says it, and what was counted besides. */
import type { Usage } from "./contract.ts";

/** A class: there is one per completion, and each token costs one addition. */
export class UsageCount {
  readonly #countPrompt: () => number;
  /** Tokens that were delivered or held back, those of another worker included: what `max_tokens` limits. */
  outputTokens = 0;
  /** What the engine has said of the prompt. */
  #prompt: PromptUsage | undefined;
  /** By how much the engine's count of the completion differs from ours. */
  #difference = 0;
  /** Of `outputTokens`, those of thinking, as we count them or the engine has said. */
  reasoningTokens = 0;

  constructor(countPrompt: () => number) {
    this.#countPrompt = countPrompt;
  }

  /** True once the engine has counted the prompt. */
  get hasPrompt(): boolean {
    return this.#prompt?.promptTokens !== undefined;
  }

  /** What an engine says of the prompt. @returns all it has said of it, if that is news: some say it with every token. */
  hearPrompt({ promptTokens, cachedTokens }: Partial<Usage>): PromptUsage | undefined {
    const before = this.#prompt;
    const isNews = (value: number | undefined, known: number | undefined): boolean =>
      value !== undefined && value !== known;
    if (!isNews(promptTokens, before?.promptTokens) && !isNews(cachedTokens, before?.cachedTokens)) return undefined;
    this.#prompt = {
      ...before,
      ...(promptTokens !== undefined && { promptTokens }),
      ...(cachedTokens !== undefined && { cachedTokens }),
    };
    return this.#prompt;
  }

  /** What an engine says of the completion, up to the tokens that have been counted. */
  hearCompletion({ completionTokens, reasoningTokens }: Partial<Usage>): void {
    if (completionTokens !== undefined) this.#difference = completionTokens - this.outputTokens;
    if (reasoningTokens !== undefined) this.reasoningTokens = reasoningTokens;
  }

  get completionTokens(): number {
    return this.outputTokens + this.#difference;
  }

  /** As it stands. What the engine has not said is the runtime's count. */
  get usage(): Usage {
    const { promptTokens = this.#countPrompt(), cachedTokens } = this.#prompt ?? {};
    const { completionTokens, reasoningTokens } = this;
    return {
      promptTokens,
      completionTokens,
      ...(cachedTokens !== undefined && { cachedTokens }),
      ...(reasoningTokens > 0 && { reasoningTokens }),
    };
  }
}

export type PromptUsage = Partial<Pick<Usage, "promptTokens" | "cachedTokens">>;

/** Of all completions, `n` for each prompt. A prompt is read once, however many completions it gets: the first whose engine has counted it says what it has. */
export function sumUsage(counts: readonly UsageCount[], n: number): Usage {
  let [promptTokens, completionTokens, reasoningTokens] = [0, 0, 0];
  let cachedTokens: number | undefined;
  for (let first = 0; first < counts.length; first += n) {
    const choices = counts.slice(first, first + n);
    for (const choice of choices) {
      completionTokens += choice.completionTokens;
      reasoningTokens += choice.reasoningTokens;
    }
    const teller = choices.find(({ hasPrompt }) => hasPrompt) ?? choices[0];
    if (!teller) continue;
    const { usage } = teller;
    promptTokens += usage.promptTokens;
    if (usage.cachedTokens !== undefined) cachedTokens = (cachedTokens ?? 0) + usage.cachedTokens;
  }
  return {
    promptTokens,
    completionTokens,
    ...(cachedTokens !== undefined && { cachedTokens }),
    ...(reasoningTokens > 0 && { reasoningTokens }),
  };
}
