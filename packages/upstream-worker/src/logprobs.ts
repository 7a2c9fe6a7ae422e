/** Likelihoods of tokens, in the two forms of OpenAI's API. */
import { isMap } from "@dyn/runtime/internal";
import type { Logprob, TokenLogprob } from "@dyn/runtime/llm";
import { toProtocolError } from "./failures.ts";

/** `logprobs` of a choice; undefined if there are none. @throws RuntimeError `protocol` for what is neither form. */
export function toLogprobs(given: unknown): readonly TokenLogprob[] | undefined {
  if (!isMap(given)) return undefined;
  const { content, tokens } = given;
  if (Array.isArray(content)) return content.map(toTokenLogprob);
  return Array.isArray(tokens) ? toColumns(tokens, given) : undefined;
}

// Of chat completions.
function toTokenLogprob(given: unknown): TokenLogprob {
  const top = isMap(given) ? given["top_logprobs"] : undefined;
  return { ...toLogprob(given), ...(Array.isArray(top) && { top: top.map(toLogprob) }) };
}

function toLogprob(given: unknown): Logprob {
  const { token, logprob, bytes } = isMap(given) ? given : {};
  if (typeof token !== "string" || typeof logprob !== "number") throw toProtocolError("a token without its logprob");
  return { token: token.toWellFormed(), logprob, ...(isBytes(bytes) && { bytes }) };
}

// Of plain completions: a list for each fact.
function toColumns(tokens: readonly unknown[], given: Readonly<Record<string, unknown>>): readonly TokenLogprob[] {
  const { token_logprobs: likelihoods, top_logprobs: tops } = given;
  return tokens.map((token, at) => {
    const logprob: unknown = Array.isArray(likelihoods) ? likelihoods[at] : undefined;
    const top: unknown = Array.isArray(tops) ? tops[at] : undefined;
    return { ...toLogprob({ token, logprob }), ...(isMap(top) && { top: toTop(top) }) };
  });
}

function toTop(given: Readonly<Record<string, unknown>>): readonly Logprob[] {
  const all = Object.entries(given).map(([token, logprob]) => toLogprob({ token, logprob }));
  return all.toSorted((one, other) => other.logprob - one.logprob);
}

function isBytes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((each) => typeof each === "number" && (each & 0xff) === each);
}
