/** Likelihoods of the tokens of an answer: that they are there where they were asked for, and what they come to. */
import { RuntimeError } from "@dyn/runtime";
import { countCharacters, textFactor, type MemoryShare, type ModelJob } from "@dyn/runtime/internal";
import type { Delta, Logprob, PromptLogprob, TokenLogprob } from "@dyn/runtime/llm";
import { countJsonBytes } from "../http/json-size.ts";
import type { GenerateResult } from "./transcript.ts";

/** Those of one piece of a text. */
export interface PieceLogprobs {
  /** Where the piece begins in the text, characters. */
  readonly begin: number;
  readonly tokens: readonly TokenLogprob[];
}

/** Those of one choice. */
export interface ChoiceLogprobs {
  /** Undefined unless they were asked for. */
  readonly prompt: readonly PromptLogprob[] | undefined;
  readonly pieces: readonly PieceLogprobs[];
}

/** The whole answer. */
export interface AnswerResult extends GenerateResult {
  /** Of a choice; only if they were asked for, and texts are kept. */
  readonly logprobsOf?: (choice: number) => ChoiceLogprobs;
}

/** What is kept of them. */
export interface KeptLogprobs {
  /** True if they are wanted in the end. */
  readonly keeps: boolean;
  /** Most bytes of all that is kept, as JSON. */
  readonly maxBytes: number;
  readonly memory: Pick<MemoryShare, "take">;
}

/** What stands around a token in JSON, bytes. */
const tokenBytes = 64;

interface Open {
  prompt: readonly PromptLogprob[] | undefined;
  pieces: PieceLogprobs[];
  chars: number;
}

/** True for text, also of a part of a character; neither a piece of a call nor thinking. */
export function isSaid({ text, toolCalls, reasoning }: Delta): boolean {
  return text !== "" || (toolCalls === undefined && reasoning === undefined);
}

/** Begins with nothing. */
export class AnswerLogprobs {
  readonly #wantsPrompt: boolean;
  readonly #model: string;
  readonly #keeping: KeptLogprobs;
  readonly #choices = new Map<number, Open>();
  #bytes = 0;

  constructor({ logprobs, model }: ModelJob, keeping: KeptLogprobs) {
    this.#wantsPrompt = logprobs?.prompt === true;
    this.#model = model;
    this.#keeping = keeping;
  }

  /** @throws RuntimeError `unimplemented` where an engine says nothing of what was asked for; `protocol` for more than can be kept. */
  add(batch: readonly Delta[]): void {
    const before = this.#bytes;
    for (const delta of batch) this.#add(this.#open(delta.choice ?? 0), delta);
    this.#keeping.memory.take(textFactor * (this.#bytes - before));
  }

  of(choice: number): ChoiceLogprobs {
    return this.#open(choice);
  }

  #open(choice: number): Open {
    const open = this.#choices.get(choice) ?? { prompt: undefined, pieces: [], chars: 0 };
    this.#choices.set(choice, open);
    return open;
  }

  #add(choice: Open, delta: Delta): void {
    const { text, logprobs, promptLogprobs, finishReason } = delta;
    const { keeps } = this.#keeping;
    if (promptLogprobs && !choice.prompt) {
      if (keeps) this.#count(promptLogprobs);
      choice.prompt = keeps ? promptLogprobs : []; // another worker may say it once more
    }
    if (this.#wantsPrompt && !choice.prompt && (text !== "" || finishReason !== undefined))
      throw this.#toMissing("the prompt");
    if (text !== "" && !logprobs) throw this.#toMissing("its answer");
    if (!keeps) return;
    if (logprobs && isSaid(delta)) {
      this.#count(logprobs);
      choice.pieces.push({ begin: choice.chars, tokens: logprobs });
    }
    choice.chars += countCharacters(text);
  }

  #count(logprobs: readonly PromptLogprob[]): void {
    const { maxBytes } = this.#keeping;
    for (const each of logprobs) {
      this.#bytes += toBytes(each);
      if ("top" in each) for (const other of each.top ?? []) this.#bytes += toBytes(other);
    }
    if (this.#bytes > maxBytes)
      throw new RuntimeError(
        "protocol",
        `the likelihoods of the worker's tokens are larger than ${maxBytes} bytes, the limit set by DYN_HTTP_ANSWER_LIMIT_MB`,
      );
  }

  #toMissing(what: string): RuntimeError {
    return new RuntimeError(
      "unimplemented",
      `the engine of model ${JSON.stringify(this.#model)} says nothing of the likelihood of the tokens of ${what}`,
    );
  }
}

function toBytes({ token }: Pick<Logprob, "token">): number {
  return tokenBytes + 2 * countJsonBytes(token, Number.POSITIVE_INFINITY);
}
