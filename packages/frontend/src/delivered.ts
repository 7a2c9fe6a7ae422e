/** What the client has of each choice, so that another worker can go on after it. */
import { tokensOf, type BegunChoice, type Delta, type ModelJob } from "@dyn/runtime/llm";
import { countChoices } from "./completion.ts";

export interface Delivered {
  add(batch: readonly Delta[]): void;
  /** The job for the rest; undefined once it has been asked for `limit` times. */
  resume(): ModelJob | undefined;
  /** Nothing is left to ask for. */
  readonly isWhole: boolean;
}

interface Choice {
  text: string;
  tokens: number;
  tokenIds: number[];
  isFinished: boolean;
}

/** Begin with nothing delivered. With a `limit` of 0 nothing is kept. */
export function createDelivered(job: ModelJob, limit: number): Delivered {
  const choices: Choice[] = [];
  for (let left = countChoices(job); left > 0; left -= 1) choices.push({ text: "", tokens: 0, tokenIds: [], isFinished: false });
  let hasUsage = false;
  let left = limit;
  return {
    add(batch) {
      for (const delta of batch) {
        const choice = choices[delta.choice ?? 0];
        if (!choice) continue; // whoever formats the answer refuses it
        hasUsage ||= delta.usage !== undefined;
        choice.isFinished ||= delta.finishReason !== undefined;
        if (limit > 0) keep(choice, delta);
      }
    },
    resume() {
      if (left === 0) return undefined;
      left -= 1;
      return { ...job, begun: choices.map(toBegun) };
    },
    get isWhole() {
      return hasUsage && choices.every(({ isFinished }) => isFinished);
    },
  };
}

function keep(choice: Choice, delta: Delta): void {
  choice.text += delta.text;
  choice.tokens += tokensOf(delta);
  if (delta.tokenIds) for (const id of delta.tokenIds) choice.tokenIds.push(id);
}

// Ids only if there is one for each token: some engines give none.
function toBegun({ text, tokens, tokenIds, isFinished }: Choice): BegunChoice {
  return { text, tokens, isFinished, ...(tokenIds.length === tokens && { tokenIds }) };
}
