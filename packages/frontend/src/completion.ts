/** What the deltas of one answer come to: text, finish reason and usage. */
import { RuntimeError } from "@dyn/runtime";
import type { Delta, FinishReason, Usage } from "@dyn/runtime/llm";

export interface Choice {
  readonly text: string;
  readonly finishReason: FinishReason;
  /** The stop text that ended it, if one did. */
  readonly stopText: string | undefined;
}

export interface Completion {
  readonly choices: readonly Choice[];
  readonly usage: Usage;
}

/** Collects deltas; a stream that has passed its texts on already need not keep them. */
export interface Collector {
  add(batch: readonly Delta[]): void;
  /** @throws RuntimeError `protocol` if a choice has no finish reason, or the whole no usage: the worker has not finished its work. */
  finish(): Completion;
}

interface Open {
  text: string;
  finishReason: FinishReason | undefined;
  stopText: string | undefined;
}

/** Create a collector of `count` choices. */
export function createCollector(count: number, { keepsText }: { readonly keepsText: boolean }): Collector {
  const choices: Open[] = [];
  for (let left = count; left > 0; left -= 1) choices.push({ text: "", finishReason: undefined, stopText: undefined });
  let usage: Usage | undefined;
  return {
    add(batch) {
      for (const delta of batch) {
        usage = delta.usage ?? usage;
        const choice = choices[delta.choice ?? 0];
        if (!choice) throw new RuntimeError("protocol", `the worker answered for choice ${delta.choice}, ${count} were asked for`);
        if (keepsText) choice.text += delta.text;
        if (delta.finishReason === undefined) continue;
        choice.finishReason = delta.finishReason;
        choice.stopText = delta.stopText;
      }
    },
    finish() {
      if (!usage) throw new RuntimeError("protocol", "the worker ended its answer without usage");
      return { choices: choices.map(toChoice), usage };
    },
  };
}

function toChoice({ text, finishReason, stopText }: Open, index: number): Choice {
  if (finishReason === undefined) throw new RuntimeError("protocol", `the worker ended its answer without a finish reason for choice ${index}`);
  return { text, finishReason, stopText };
}

/** How many choices a job asks for. */
export function countChoices({ n = 1, prompts }: { readonly n?: number; readonly prompts?: readonly unknown[] }): number {
  return n * (prompts?.length ?? 1);
}
