/** Answers that are to be longer than they are: for those who measure how fast tokens come. */
import { splitTokens } from "@dyn/runtime/internal";
import type { ModelRequest } from "@dyn/runtime/llm";
import type { Block, Plan } from "./plan.ts";
import { toEcho } from "./rules.ts";

/** The same plan, going on until it has as many tokens as the request wants at least: with what the user said, again and again. Calls and JSON stay as they are. */
export function lengthen(plan: Plan, request: ModelRequest): Plan {
  const { ignoreEos = false, minTokens = 0, maxTokens = minTokens, responseFormat } = request;
  const least = ignoreEos ? maxTokens : minTokens;
  if (least === 0 || responseFormat || plan.blocks.some(({ type }) => type === "call")) return plan;
  let count = 0;
  function* counted(tokens: Iterable<string>): Generator<string, void, void> {
    for (const token of tokens) {
      count += 1;
      yield token;
    }
  }
  function* more(): Generator<string, void, void> {
    if (count >= least) return;
    for (const token of counted(repeat(toEcho(request)))) {
      yield token;
      if (count >= least) return;
    }
  }
  const toCounted = (block: Block): Block => ("tokens" in block ? { ...block, tokens: counted(block.tokens) } : block);
  return { ...plan, blocks: [...plan.blocks.map(toCounted), { type: "text", tokens: more() }] };
}

// Never ends.
function* repeat(text: string): Generator<string, void, void> {
  const tokens = [...splitTokens(` ${text.trimStart()}`)];
  for (;;) yield* tokens;
}
