/** Holds an engine to the request: stop strings, max_tokens, one finish reason and a usage at the end, even if it ignores them. */
import type { Delta, FinishReason, ModelRequest, Usage } from "./contract.ts";
import { createStopMatcher } from "./stops.ts";
import { countPromptTokens } from "./tokens.ts";

/** What a completion came to, for the worker's own log line. */
export interface Tally {
  outputTokens: number;
  usage: Usage | undefined;
  finishReason: FinishReason | undefined;
}

export function createTally(): Tally {
  return { outputTokens: 0, usage: undefined, finishReason: undefined };
}

function tokensOf(delta: Delta): number {
  return delta.tokenIds?.length ?? (delta.text === "" ? 0 : 1);
}

/** Pass deltas on until a limit is met, then one last delta with `finishReason` and `usage`. A delta that would pass max_tokens is dropped. */
export async function* enforceLimits(request: ModelRequest, deltas: AsyncIterable<Delta>, tally: Tally): AsyncGenerator<Delta, void, void> {
  const matcher = request.stop.length > 0 ? createStopMatcher(request.stop) : undefined;
  const maxTokens = request.maxTokens ?? Number.POSITIVE_INFINITY;
  const finish = (reason: FinishReason, text: string): Delta => {
    tally.finishReason = reason;
    tally.usage ??= { promptTokens: countPromptTokens(request), completionTokens: tally.outputTokens };
    return { text, finishReason: reason, usage: tally.usage };
  };
  if (maxTokens === 0) return yield finish("length", "");
  for await (const delta of deltas) {
    const tokens = tokensOf(delta);
    tally.usage = delta.usage ?? tally.usage;
    if (tally.outputTokens + tokens > maxTokens) return yield finish("length", matcher?.flush() ?? "");
    tally.outputTokens += tokens;
    const text = matcher ? matcher.push(delta.text) : { released: delta.text, stopped: false };
    if (text.stopped) return yield finish("stop", text.released);
    const ends = delta.finishReason ?? (tally.outputTokens >= maxTokens ? "length" : undefined);
    if (ends) return yield finish(ends, text.released + (matcher?.flush() ?? ""));
    if (!matcher) yield delta;
    else if (text.released !== "") yield { text: text.released };
  }
  yield finish("stop", matcher?.flush() ?? "");
}
