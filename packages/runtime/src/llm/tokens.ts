/** The token of a worker without a tokenizer: a word with its leading blank. A text may hold millions: no list of them is made. */
import type { ModelJob } from "./contract.ts";

/** What \s is in a regular expression. https://tc39.es/ecma262/#sec-white-space and #sec-line-terminators */
const blanks =
  "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff";
// By code unit, 1 for a blank: half the time of comparisons.
const isBlank = new Uint8Array(0x1_0000);
for (const blank of blanks) isBlank[blank.charCodeAt(0)] = 1;

const backslash = 0x5c;
/** The same for what parts the words of a JSON text. */
const isParting = isBlank.slice();
for (const mark of '{}[]:,"\\') isParting[mark.charCodeAt(0)] = 1;

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

/** Tokens of a JSON text: words between its marks and blanks, so that a schema has one for each name and value. What is escaped parts words, too. */
export function countJsonTokens(json: string): number {
  let [words, before] = [0, 1];
  for (let at = 0; at < json.length; at += 1) {
    const code = json.charCodeAt(at);
    const parting = isParting[code] ?? 0; // the table has every code unit
    words += before & (parting ^ 1);
    before = parting;
    if (code === backslash) at += 1;
  }
  return words;
}

/** Of a request or a job: what an engine reads of it. */
type Read = Pick<ModelJob, "messages" | "prompt" | "tools" | "responseFormat" | "exactJson">;

/** Tokens of all that an engine reads, without any template around it: the texts of messages, thoughts and calls in them, tools, and the schema of the answer. A
 *  prompt of token ids has as many as it says. */
export function countPromptTokens({ messages, prompt, ...schemas }: Read): number {
  if (prompt?.tokenIds) return prompt.tokenIds.length;
  let count = 0;
  for (const { text, reasoning, toolCalls } of messages) {
    count += countTextTokens(text);
    if (reasoning !== undefined) count += countTextTokens(reasoning);
    if (toolCalls) for (const call of toolCalls) count += countTextTokens(call.name) + countJsonTokens(call.arguments);
  }
  for (const json of schemasOf(schemas)) count += countJsonTokens(json);
  return count;
}

/** JSON of the tools and of the form of the answer, as far as there are any. */
export function schemasOf({ tools, responseFormat, exactJson = {} }: Omit<Read, "messages" | "prompt">): string[] {
  return [exactJson.tools ?? toJson(tools), exactJson.responseFormat ?? toJson(responseFormat)].filter(
    (json) => json !== undefined,
  );
}

// A caller that is no frontend may have sent bigints.
function toJson(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === "bigint" ? inner.toString() : inner));
}

/** Tokens of all prompts of a job; each is read once, however many completions it gets. */
export function countJobTokens(job: ModelJob): number {
  const { prompt, prompts = prompt && [prompt] } = job;
  if (!prompts) return countPromptTokens(job);
  return prompts.reduce((sum, { text, tokenIds }) => sum + (tokenIds?.length ?? countTextTokens(text)), 0);
}
