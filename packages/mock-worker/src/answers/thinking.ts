/** What the mock thinks before it answers: as many tokens as are asked for, the same ones each time. */
import type { ModelRequest } from "@dyn/runtime/llm";
import type { Block } from "./plan.ts";

/** Most tokens of thinking. */
const maxTokens = 1_000_000;
/** Tokens for who asks for thinking and says no number. */
const defaultTokens = 8;

const sentence = [" Let", " me", " think", " about", " this,", " step", " by", " step."];
const order = /(?:^|\s)\/think(?:[ \t]+(\d{1,7}))?(?=\s|$)/;

/** None, or one block. `usual` is how many tokens it thinks unless the last words of the user have `/think N`. */
export function toThinking({ reasoning, prompt, messages }: ModelRequest, usual: number): readonly Block[] {
  if (reasoning?.isEnabled === false || prompt) return []; // plain completions have no place for it
  const [said, wanted = defaultTokens] = order.exec(messages.findLast(({ role }) => role === "user")?.text ?? "") ?? [];
  const count = Math.min(said === undefined ? usual : Number(wanted), reasoning?.budgetTokens ?? maxTokens, maxTokens);
  return count > 0 ? [{ type: "reasoning", tokens: think(count) }] : [];
}

function* think(count: number): Generator<string, void, void> {
  for (let at = 0; at < count; at += 1) {
    const token = sentence[at % sentence.length] ?? "";
    yield at === 0 ? token.trimStart() : token;
  }
}
