/** What a client has of an answer: what it comes to in the end, and where another worker would go on. */
import { RuntimeError } from "@dyn/runtime";
import { assertDelta, tokensOf, type BegunChoice, type Delta, type FinishReason, type ModelJob, type Usage } from "@dyn/runtime/llm";

export interface Choice {
  /** Empty if texts are not kept. */
  readonly text: string;
  readonly finishReason: FinishReason;
  /** The stop text that ended it, if one did. */
  readonly stopText: string | undefined;
}

export interface Completion {
  readonly choices: readonly Choice[];
  readonly usage: Usage;
}

/** What is kept of a delta beside how it ended. */
export interface Keeping {
  readonly texts: boolean;
  /** Counts and ids of tokens, for `begun`. */
  readonly tokens: boolean;
}

interface Open {
  text: string;
  tokens: number;
  tokenIds: number[];
  finishReason: FinishReason | undefined;
  stopText: string | undefined;
}

/** Begins with nothing. A class: there is one per request, and an object with getters costs several times as much. */
export class Transcript {
  readonly #keeping: Keeping;
  readonly #choices: Open[] = [];
  #usage: Usage | undefined;

  constructor(job: ModelJob, keeping: Keeping) {
    this.#keeping = keeping;
    for (let left = countChoices(job); left > 0; left -= 1) {
      this.#choices.push({ text: "", tokens: 0, tokenIds: [], finishReason: undefined, stopText: undefined });
    }
  }

  /** @returns how many tokens they are. @throws RuntimeError `protocol` for what is no delta, or none of a choice that was asked for. */
  add(batch: readonly Delta[]): number {
    const { texts: keepsTexts, tokens: keepsTokens } = this.#keeping;
    let tokens = 0;
    for (const delta of batch) {
      assertDelta(delta);
      const choice = this.#choices[delta.choice ?? 0];
      if (!choice) throw new RuntimeError("protocol", `the worker answered for choice ${delta.choice}, ${this.#choices.length} were asked for`);
      const count = tokensOf(delta);
      tokens += count;
      if (keepsTexts) choice.text += delta.text;
      if (keepsTokens) keepTokens(choice, delta, count);
      if (delta.usage) this.#usage = delta.usage;
      if (delta.finishReason === undefined) continue;
      choice.finishReason = delta.finishReason;
      choice.stopText = delta.stopText;
    }
    return tokens;
  }

  /** As the worker says, at its end. */
  get usage(): Usage | undefined {
    return this.#usage;
  }

  /** Of the choices that have ended, each once. */
  get finishReasons(): readonly FinishReason[] {
    return [...new Set(this.#choices.flatMap(({ finishReason = [] }) => finishReason))];
  }

  /** Nothing is left to ask for. */
  get isWhole(): boolean {
    return this.#usage !== undefined && this.#choices.every(({ finishReason }) => finishReason !== undefined);
  }

  /** What another worker needs to know of each choice. */
  begun(): BegunChoice[] {
    return this.#choices.map(toBegun);
  }

  /** @throws RuntimeError `protocol` if a choice has no finish reason, or the whole no usage: the worker has not finished its work. */
  finish(): Completion {
    if (!this.#usage) throw new RuntimeError("protocol", "the worker ended its answer without usage");
    return { choices: this.#choices.map(toChoice), usage: this.#usage };
  }
}

function keepTokens(choice: Open, { tokenIds }: Delta, count: number): void {
  choice.tokens += count;
  if (tokenIds) for (const id of tokenIds) choice.tokenIds.push(id);
}

// Ids only if there is one for each token: some engines give none.
function toBegun({ text, tokens, tokenIds, finishReason }: Open): BegunChoice {
  return { text, tokens, isFinished: finishReason !== undefined, ...(tokenIds.length === tokens && { tokenIds }) };
}

function toChoice({ text, finishReason, stopText }: Open, index: number): Choice {
  if (finishReason === undefined) throw new RuntimeError("protocol", `the worker ended its answer without a finish reason for choice ${index}`);
  return { text, finishReason, stopText };
}

function countChoices({ n = 1, prompts }: ModelJob): number {
  return n * (prompts?.length ?? 1);
}
