/** How likely the mock's tokens are: hashed from the token and the one before it, so that every worker says the same. */
import { splitTokens } from "@dyn/runtime/internal";
import type { Delta, Logprob, ModelRequest, Prompt, PromptLogprob, TokenLogprob } from "@dyn/runtime/llm";
import { addText, beginHash, toUnit } from "../hash.ts";
import type { Step } from "./play.ts";

/** What might have come instead. */
const others =
  " the, of, and, to, a, in, is, that, it, for, was, on, with, as, be, at, by, this, not, are, or, from".split(",");

/** The same steps, with what is said of their tokens; what is said of the prompt comes with the first of them. */
export function* withLogprobs(steps: Iterable<Step>, request: ModelRequest, seed: number): Generator<Step, void, void> {
  const { logprobs, prompt, generated } = request;
  const likelihoods = new Likelihoods(logprobs?.top ?? 0, seed);
  let before = logprobs?.prompt === true && prompt && !generated ? likelihoods.ofPrompt(prompt) : undefined;
  for (const step of steps) {
    if (step.type !== undefined) {
      yield step;
      continue;
    }
    yield { ...step, ...before, ...(step.text !== "" && { logprobs: [likelihoods.of(step.text)] }) };
    before = undefined;
  }
  if (before) yield { text: "", ...before };
}

class Likelihoods {
  readonly #top: number;
  readonly #seed: number;

  constructor(top: number, seed: number) {
    this.#top = top;
    this.#seed = seed;
  }

  ofPrompt({ text, tokenIds }: Prompt): Pick<Delta, "promptLogprobs"> {
    const tokens = tokenIds ? tokenIds.map((id, at) => (at === 0 ? `${id}` : ` ${id}`)) : [...splitTokens(text)];
    const promptLogprobs = tokens.map((token, at): PromptLogprob => {
      const before = tokens[at - 1];
      return before === undefined ? { token, logprob: null } : this.#say(token, toShare(this.#seed, before, token));
    });
    return { promptLogprobs };
  }

  /** A token of the answer is always the likeliest one. */
  of(token: string): TokenLogprob {
    return this.#say(token, toShare(this.#seed, "", token) / 2);
  }

  // Below 0.75 it is the likeliest of its place, with more than half of all there is; else the second.
  #say(token: string, share: number): TokenLogprob {
    const best = 0.95 - 0.4 * share;
    const isBest = share < 0.75;
    const places = Math.max(this.#top, 2);
    const begin = Math.floor(share * 1_000) % others.length;
    const names = Array.from({ length: places + 1 }, (_, at) => others[(begin + at) % others.length] ?? "")
      .filter((other) => other !== token)
      .slice(0, places - 1);
    names.splice(isBest ? 0 : 1, 0, token);
    const top = names.map((name, at): Logprob => ({
      token: name,
      logprob: toLog(at === 0 ? best : (1 - best) / 2 ** at),
    }));
    const own = top[isBest ? 0 : 1] ?? { token, logprob: 0 };
    return this.#top === 0 ? own : { ...own, top: top.slice(0, this.#top) };
  }
}

function toLog(probability: number): number {
  return Math.round(Math.log(probability) * 1e6) / 1e6;
}

function toShare(seed: number, before: string, token: string): number {
  return toUnit(addText(addText(addText(beginHash(seed), before), "\n"), token));
}
