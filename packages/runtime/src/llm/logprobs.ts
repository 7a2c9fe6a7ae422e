/** Likelihoods of tokens: what engines and workers may say of them, and how they stay beside their text. */
import { isMap } from "../wire/payload.ts";

/** How much is to be said of the likelihood of tokens. */
export interface LogprobsRequest {
  /** How many of the likeliest tokens are wanted for each place, from 0 to 20. */
  readonly top: number;
  /** Those of the prompt are wanted, too: one for each of its tokens. Only with `prompt`. Absent = not. */
  readonly prompt?: boolean;
}

/** A token, and how likely it was. */
export interface Logprob {
  /** Its text; "" or U+FFFD if it is a part of a character. */
  readonly token: string;
  /** Natural logarithm of its probability: 0 or less, `-Infinity` for none. */
  readonly logprob: number;
  /** Its bytes. Default: those of `token` in UTF-8. */
  readonly bytes?: readonly number[];
}

/** A token, and those that might have stood in its place. */
export interface TokenLogprob extends Logprob {
  /** The likeliest ones, the likeliest first; it may be among them. Default: none. */
  readonly top?: readonly Logprob[];
}

/** A token of a prompt. Nothing is known of the first: there is nothing before it. */
export type PromptLogprob = TokenLogprob | { readonly token: string; readonly logprob: null };

/** Most of the likeliest tokens of a place that can be asked for, as in OpenAI's chat completions. */
export const maxTop = 20;
/** What an engine may give of one place: the token itself may stand beside those that were asked for. */
const maxGiven = maxTop + 1;

/** What a job may ask for. */
export function isLogprobsRequest(value: unknown): boolean {
  if (!isMap(value)) return false;
  const { top, prompt = false } = value;
  return typeof top === "number" && Number.isInteger(top) && top >= 0 && top <= maxTop && typeof prompt === "boolean";
}

function isByte(value: unknown): boolean {
  return typeof value === "number" && (value & 0xff) === value;
}

function isToken(value: unknown): value is Readonly<Record<string, unknown>> {
  if (!isMap(value)) return false;
  const { token, bytes } = value;
  if (typeof token !== "string" || !token.isWellFormed()) return false;
  return bytes === undefined || (Array.isArray(bytes) && bytes.every(isByte));
}

// Rounding may leave a little more than 0.
function isLikelihood(value: unknown): boolean {
  return typeof value === "number" && value < 1e-3;
}

function isLogprob(value: unknown): boolean {
  return isToken(value) && isLikelihood(value["logprob"]);
}

function isTokenLogprob(value: unknown): boolean {
  if (!isToken(value) || !isLikelihood(value["logprob"])) return false;
  const { top } = value;
  return top === undefined || (Array.isArray(top) && top.length <= maxGiven && top.every(isLogprob));
}

/** A list of them. */
export function isLogprobs(value: unknown): boolean {
  return Array.isArray(value) && value.every(isTokenLogprob);
}

/** The same of a prompt: nothing is known of the likelihood of some. */
export function isPromptLogprobs(value: unknown): boolean {
  const isOne = (each: unknown): boolean => (isToken(each) && each["logprob"] === null) || isTokenLogprob(each);
  return Array.isArray(value) && value.every(isOne);
}

/** Those of the tokens that begin in the first `length` characters of their text. */
export function cutLogprobs(logprobs: readonly TokenLogprob[], length: number): readonly TokenLogprob[] {
  let begin = 0;
  const kept: TokenLogprob[] = [];
  for (const each of logprobs) {
    if (begin >= length) break;
    kept.push(each);
    begin += each.token.length;
  }
  return kept;
}
