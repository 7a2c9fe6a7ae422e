/** Likelihoods of tokens as OpenAI's APIs have them. */
import { countCharacters } from "@dyn/runtime/internal";
import type { Logprob, PromptLogprob, TokenLogprob } from "@dyn/runtime/llm";
import type { PieceLogprobs } from "../inference/logprobs.ts";

/** JSON has no infinity: what OpenAI writes for a token that could not come. */
const impossible = -9_999;

function toNumber(logprob: number): number {
  return Math.min(0, Math.max(logprob, impossible));
}

function toEntry({ token, logprob, bytes }: Logprob): Record<string, unknown> {
  return { token, logprob: toNumber(logprob), bytes: bytes ?? [...Buffer.from(token)] };
}

/** `logprobs` of a chat choice. */
export function toChatLogprobs(tokens: readonly TokenLogprob[]): unknown {
  const content = tokens.map((each) => ({ ...toEntry(each), top_logprobs: (each.top ?? []).map(toEntry) }));
  return { content, refusal: null };
}

/** `logprobs` of a plain completion: lists of the same length. */
export interface TextLogprobs {
  readonly tokens: string[];
  readonly token_logprobs: (number | null)[];
  readonly top_logprobs: (Readonly<Record<string, number>> | null)[];
  /** Where each token begins in the text, characters. */
  readonly text_offset: number[];
}

export function createTextLogprobs(): TextLogprobs {
  return { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
}

/** Add those of a piece of text that begins at `begin`. */
export function addTextLogprobs(to: TextLogprobs, begin: number, tokens: readonly PromptLogprob[]): void {
  let at = begin;
  for (const each of tokens) {
    to.tokens.push(each.token);
    to.token_logprobs.push(each.logprob === null ? null : toNumber(each.logprob));
    to.top_logprobs.push(each.logprob === null ? null : toTop(each));
    to.text_offset.push(at);
    at += countCharacters(each.token);
  }
}

// The token itself is always there, as in OpenAI's API: one more than was asked for, if it is none of the likeliest.
function toTop({ token, logprob, top = [] }: TokenLogprob): Readonly<Record<string, number>> {
  const likeliest = new Map(top.map((each) => [each.token, toNumber(each.logprob)]));
  return Object.fromEntries(likeliest.set(token, toNumber(logprob)));
}

/** Of a whole choice: `prompt` if its text begins with that. */
export function toTextLogprobs(
  prompt: readonly PromptLogprob[],
  echo: string,
  pieces: readonly PieceLogprobs[],
): TextLogprobs {
  const logprobs = createTextLogprobs();
  addTextLogprobs(logprobs, 0, prompt);
  const begin = countCharacters(echo);
  for (const piece of pieces) addTextLogprobs(logprobs, begin + piece.begin, piece.tokens);
  return logprobs;
}
