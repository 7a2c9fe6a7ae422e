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

/** Tokens of one delta: its ids, or one if it has text. */
export function tokensOf(delta: Delta): number {
  return delta.tokenIds?.length ?? (delta.text === "" ? 0 : 1);
}

/** Pass deltas on until a limit is met, then one last delta with `finishReason` and `usage`. A delta that would pass max_tokens is dropped. */
export async function* enforceLimits(request: ModelRequest, deltas: AsyncIterable<Delta>, tally: Tally): AsyncGenerator<Delta, void, void> {
  const limiter = createLimiter(request, tally);
  if (request.maxTokens === 0) return yield limiter.finish("length");
  for await (const delta of deltas) {
    const allowed = limiter.admit(delta);
    if (allowed) yield allowed;
    if (allowed?.finishReason !== undefined) return;
  }
  yield limiter.finish("stop");
}

interface Limiter {
  /** What of `delta` may pass, with a finish reason if it is the last; undefined if all of it is held back. */
  admit(delta: Delta): Delta | undefined;
  finish(reason: FinishReason, text?: string): Delta;
}

function createLimiter(request: ModelRequest, tally: Tally): Limiter {
  const matcher = request.stop.length > 0 ? createStopMatcher(request.stop) : undefined;
  const maxTokens = request.maxTokens ?? Number.POSITIVE_INFINITY;
  const finish = (reason: FinishReason, text: string = matcher?.flush() ?? "", stopText?: string): Delta => {
    tally.finishReason = reason;
    tally.usage ??= { promptTokens: countPromptTokens(request), completionTokens: tally.outputTokens };
    return { text, finishReason: reason, usage: tally.usage, ...(stopText !== undefined && { stopText }) };
  };
  const match = (text: string): Delta | undefined => {
    if (!matcher) return undefined;
    const { released, stopped } = matcher.push(text);
    return stopped === undefined ? { text: released } : finish("stop", released, stopped);
  };
  return {
    finish,
    admit(delta) {
      if (delta.prefillResult !== undefined) return delta;
      const tokens = tokensOf(delta);
      tally.usage = delta.usage ?? tally.usage;
      if (tally.outputTokens + tokens > maxTokens) return finish("length");
      tally.outputTokens += tokens;
      const passed = match(delta.text) ?? delta;
      if (passed.finishReason !== undefined && matcher) return passed;
      const reason = delta.finishReason ?? (tally.outputTokens >= maxTokens ? "length" : undefined);
      if (reason) return finish(reason, passed.text + (matcher?.flush() ?? ""));
      return passed.text === "" ? undefined : passed;
    },
  };
}
