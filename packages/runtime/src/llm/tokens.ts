/** The token of a worker without a tokenizer: a word with its leading blank. A text may hold millions: no list of them is made. */
import type { ModelJob, ModelRequest } from "./contract.ts";

/** What \s is in a regular expression. https://tc39.es/ecma262/#sec-white-space and #sec-line-terminators */
const blanks =
  "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff";
// By code unit, 1 for a blank: half the time of comparisons.
const isBlank = new Uint8Array(0x1_0000);
for (const blank of blanks) isBlank[blank.charCodeAt(0)] = 1;

/** Split text so that the pieces joined are the text, each when it is asked for, without the first `skipped`. Trailing blanks are a token of their own. */
export function* splitTokens(text: string, skipped = 0): Generator<string, void, void> {
  let left = skipped;
  for (let from = 0; from < text.length; left -= 1) {
    let to = from;
    while (to < text.length && isBlank[text.charCodeAt(to)] === 1) to += 1;
    while (to < text.length && isBlank[text.charCodeAt(to)] === 0) to += 1;
    if (left <= 0) yield text.slice(from, to);
    from = to;
  }
}

export function countTextTokens(text: string): number {
  let [words, before] = [0, 1];
  for (let at = 0; at < text.length; at += 1) {
    const blank = isBlank[text.charCodeAt(at)] ?? 0; // the table has every code unit
    words += before & (blank ^ 1);
    before = blank;
  }
  return text !== "" && before === 1 ? words + 1 : words;
}

/** Tokens of all messages, without any template around them; a prompt of token ids has as many as it says. */
export function countPromptTokens({ messages, prompt }: Pick<ModelRequest, "messages" | "prompt">): number {
  if (prompt?.tokenIds) return prompt.tokenIds.length;
  let count = 0;
  for (const { text } of messages) count += countTextTokens(text);
  return count;
}

/** Tokens of all prompts of a job; each is read once, however many completions it gets. */
export function countJobTokens({ messages, prompt, prompts = prompt && [prompt] }: ModelJob): number {
  if (!prompts) return countPromptTokens({ messages });
  return prompts.reduce((sum, { text, tokenIds }) => sum + (tokenIds?.length ?? countTextTokens(text)), 0);
}
