/** The token of a worker without a tokenizer: a word with its leading blank. */
import type { ModelJob, ModelRequest } from "./contract.ts";

const token = /\s*\S+|\s+$/g;

/** Split text so that the pieces joined are the text. Trailing blanks are a token of their own. */
export function splitTokens(text: string): string[] {
  return text.match(token) ?? [];
}

export function countTokens(text: string): number {
  return splitTokens(text).length;
}

/** Tokens of all messages, without any template around them; a prompt of token ids has as many as it says. */
export function countPromptTokens({ messages, prompt }: Pick<ModelRequest, "messages" | "prompt">): number {
  if (prompt?.tokenIds) return prompt.tokenIds.length;
  let count = 0;
  for (const { text } of messages) count += countTokens(text);
  return count;
}

/** Tokens of all prompts of a job; each is read once, however many completions it gets. */
export function countJobTokens({ messages, prompt, prompts = prompt && [prompt] }: ModelJob): number {
  if (!prompts) return countPromptTokens({ messages });
  return prompts.reduce((sum, { text, tokenIds }) => sum + (tokenIds?.length ?? countTokens(text)), 0);
}
