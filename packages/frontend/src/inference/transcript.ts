/** What a client has of an answer: what it comes to in the end, and where another worker would go on. */
import { RuntimeError } from "@dyn/runtime";
import type { Delta, FinishReason, ToolCall, ToolCallPiece, Usage } from "@dyn/runtime/llm";
import {
  textFactor,
  type MemoryShare,
  assertDelta,
  ToolCalls,
  reasoningTokensOf,
  tokensOf,
  type BegunChoice,
  type ModelJob,
} from "@dyn/runtime/internal";
import { countJsonBytes } from "../http/json-size.ts";
import { GrowingText } from "./growing-text.ts";

/** One of the completions that were asked for. */
export interface Choice {
  /** Empty if texts are not kept. */
  readonly text: string;
  /** What the model has thought; likewise. */
  readonly reasoning: string;
  readonly finishReason: FinishReason;
  /** The stop text that ended it, if one did. */
  readonly stopText: string | undefined;
  /** What it has called; with their arguments, if texts are kept. */
  readonly toolCalls: readonly ToolCall[];
}

/** The whole answer. */
export interface GenerateResult {
  readonly choices: readonly Choice[];
  readonly usage: Usage;
}

/** What is kept of a delta beside how it ended. */
export interface Keeping {
  readonly texts: boolean;
  /** Ids of tokens, for `begun`. */
  readonly tokenIds: boolean;
  /** Most bytes of all that is kept; texts as JSON has them. */
  readonly maxBytes: number;
  /** What is kept is taken from it. */
  readonly memory: Pick<MemoryShare, "take" | "release">;
  /** False if it is kept only for another worker to go on: it is then given up where there is no memory for it. */
  readonly isNeeded: boolean;
}

/** Tokens that a choice may have beyond `max_tokens`: a worker may count otherwise, and one delta of an engine holds several. */
const spareTokens = 256;
/** A double in a list. */
const bytesPerId = 8;
/** Of an answer: what stands around a call. */
const callBytes = 100;
/** Of memory: what is known of a choice, and the events that begin it. */
const choiceBytes = 512;

const noCalls: readonly ToolCall[] = [];

interface Open {
  readonly text: GrowingText;
  /** Undefined until it thinks. */
  reasoning: GrowingText | undefined;
  reasoningTokens: number;
  tokens: number;
  tokenIds: number[];
  /** Undefined until one is made. */
  calls: ToolCalls | undefined;
  finishReason: FinishReason | undefined;
  stopText: string | undefined;
}

/** Begins with nothing. A class: there is one per request, and an object with getters costs several times as much. */
export class Transcript {
  #keeping: Keeping;
  readonly #choices: Open[] = [];
  readonly #maxTokens: number;
  #bytes = 0;
  #usage: Partial<Usage> | undefined;

  constructor(job: ModelJob, keeping: Keeping) {
    this.#keeping = keeping;
    this.#maxTokens = job.maxTokens ?? Number.POSITIVE_INFINITY;
    const choices = countChoices(job);
    keeping.memory.take(choices * choiceBytes);
    for (let left = choices; left > 0; left -= 1) {
      this.#choices.push({
        text: new GrowingText(),
        reasoning: undefined,
        reasoningTokens: 0,
        tokens: 0,
        tokenIds: [],
        calls: undefined,
        finishReason: undefined,
        stopText: undefined,
      });
    }
  }

  /** @returns how many tokens they are. @throws RuntimeError `protocol` for what is no delta, or none of a choice that was asked for, and for more than was asked for or can be kept; `overloaded` if there is no memory for it. */
  add(batch: readonly Delta[]): number {
    let tokens = 0;
    const bytesBefore = this.#bytes;
    for (const delta of batch) {
      assertDelta(delta);
      const choice = this.#choices[delta.choice ?? 0];
      if (!choice)
        throw new RuntimeError(
          "protocol",
          `the worker answered for choice ${delta.choice}, ${this.#choices.length} were asked for`,
        );
      tokens += this.#keep(choice, delta);
      if (delta.usage) this.#usage = { ...this.#usage, ...delta.usage };
      if (delta.finishReason === undefined) continue;
      choice.finishReason = delta.finishReason;
      choice.stopText = delta.stopText;
    }
    if (this.#bytes !== bytesBefore) this.#account(bytesBefore);
    return tokens;
  }

  #account(bytesBefore: number): void {
    const { memory, isNeeded } = this.#keeping;
    try {
      memory.take(textFactor * (this.#bytes - bytesBefore));
    } catch (error) {
      if (isNeeded) throw error;
      memory.release(textFactor * bytesBefore);
      this.#bytes = 0;
      this.#keeping = { ...this.#keeping, texts: false, tokenIds: false };
      for (const choice of this.#choices) forget(choice);
    }
  }

  #keep(choice: Open, delta: Delta): number {
    const { texts, tokenIds, maxBytes } = this.#keeping;
    const tokens = tokensOf(delta);
    choice.tokens += tokens;
    if (choice.tokens > this.#maxTokens + spareTokens)
      throw toExcess(choice.tokens, delta.choice ?? 0, this.#maxTokens);
    if (texts) this.#bytes += countJsonBytes(delta.text, maxBytes);
    if (tokenIds && delta.tokenIds) this.#bytes += delta.tokenIds.length * bytesPerId;
    if (delta.stopText !== undefined) this.#bytes += countJsonBytes(delta.stopText, maxBytes);
    if (delta.reasoning !== undefined) this.#keepReasoning(choice, delta, tokens);
    if (delta.toolCalls) this.#bytes += this.#keepCalls(choice, delta.toolCalls);
    if (this.#bytes > maxBytes)
      throw new RuntimeError(
        "protocol",
        `the worker's answer is larger than ${maxBytes} bytes, the limit set by DYN_HTTP_ANSWER_LIMIT_MB`,
      );
    if (texts) choice.text.add(delta.text);
    if (tokenIds && delta.tokenIds) for (const id of delta.tokenIds) choice.tokenIds.push(id);
    return tokens;
  }

  #keepReasoning(choice: Open, delta: Delta, tokens: number): void {
    const { texts, maxBytes } = this.#keeping;
    const { reasoning = "" } = delta;
    choice.reasoningTokens += reasoningTokensOf(delta, tokens);
    if (!texts) return;
    this.#bytes += countJsonBytes(reasoning, maxBytes);
    if (this.#bytes <= maxBytes) (choice.reasoning ??= new GrowingText()).add(reasoning);
  }

  /** @returns their bytes. */
  #keepCalls(choice: Open, pieces: readonly ToolCallPiece[]): number {
    const { texts, maxBytes } = this.#keeping;
    choice.calls ??= new ToolCalls([], texts);
    choice.calls.add(pieces, (problem) => new RuntimeError("protocol", `the worker sent a bad delta: ${problem}`));
    let bytes = 0;
    for (const { name, id, arguments: text = "" } of pieces) {
      if (name !== undefined) bytes += callBytes + countJsonBytes(name, maxBytes) + countJsonBytes(id ?? "", maxBytes);
      if (texts) bytes += countJsonBytes(text, maxBytes);
    }
    return bytes;
  }

  /** As the worker says: of the prompt when its engine knows it, all at its end. */
  get usage(): Partial<Usage> | undefined {
    return this.#usage;
  }

  /** Of the choices that have ended, each once. */
  get finishReasons(): readonly FinishReason[] {
    const reasons: FinishReason[] = [];
    for (const { finishReason } of this.#choices)
      if (finishReason !== undefined && !reasons.includes(finishReason)) reasons.push(finishReason);
    return reasons;
  }

  /** Nothing is left to ask for. */
  get isWhole(): boolean {
    return isWhole(this.#usage) && this.#choices.every(({ finishReason }) => finishReason !== undefined);
  }

  /** What another worker needs to know of each choice; undefined if it is not kept. */
  begun(): BegunChoice[] | undefined {
    const { texts, tokenIds } = this.#keeping;
    return texts && tokenIds ? this.#choices.map(toBegun) : undefined;
  }

  /** @throws RuntimeError `protocol` if a choice has no finish reason, or the whole no usage: the worker has not finished its work. */
  finish(): GenerateResult {
    const usage = this.#usage;
    if (!isWhole(usage)) throw new RuntimeError("protocol", "the worker ended its answer without usage");
    return { choices: this.#choices.map(toChoice), usage };
  }
}

function isWhole(usage: Partial<Usage> | undefined): usage is Usage {
  return usage?.promptTokens !== undefined && usage.completionTokens !== undefined;
}

function forget(choice: Open): void {
  choice.text.forget();
  choice.reasoning?.forget();
  choice.tokenIds = [];
  choice.calls?.forget();
}

function toExcess(tokens: number, choice: number, maxTokens: number): RuntimeError {
  return new RuntimeError(
    "protocol",
    `the worker sent ${tokens} tokens for choice ${choice}, max_tokens is ${maxTokens}`,
  );
}

// Ids only if there is one for each token: some engines give none.
function toBegun(choice: Open): BegunChoice {
  const { text, reasoning, reasoningTokens, tokens, tokenIds, calls, finishReason } = choice;
  return {
    text: text.join(),
    tokens,
    isFinished: finishReason !== undefined,
    ...(tokenIds.length === tokens && { tokenIds }),
    ...(calls && { toolCalls: calls.list }),
    ...(reasoning && { reasoning: reasoning.join(), reasoningTokens }),
  };
}

function toChoice(choice: Open, index: number): Choice {
  const { text, reasoning, finishReason, stopText } = choice;
  if (finishReason === undefined)
    throw new RuntimeError("protocol", `the worker ended its answer without a finish reason for choice ${index}`);
  const toolCalls = choice.calls?.list ?? noCalls;
  return { text: text.join(), reasoning: reasoning?.join() ?? "", finishReason, stopText, toolCalls };
}

function countChoices({ n = 1, prompts }: ModelJob): number {
  return n * (prompts?.length ?? 1);
}
