/** Holds an engine to the request: stop strings, max_tokens, one finish reason and a usage at the end, even if it ignores them. */
import { RuntimeError } from "../errors.ts";
import { GivenItems } from "../given-items.ts";
import type { TokenClock } from "../trace/token-clock.ts";
import type { Delta, FinishReason, ModelRequest, Usage } from "./contract.ts";
import { assertEngineDelta } from "./deltas.ts";
import { createPairJoin } from "./pairs.ts";
import type { AskedCount } from "./prompt-count.ts";
import { ToolCalls } from "./tool-calls.ts";
import { createStopGate, type Stopped, type StopStep } from "./stops.ts";
import { UsageCount } from "./usage.ts";

/** What a completion came to, for the worker's own log line. */
export interface CompletionState {
  readonly count: UsageCount;
  finishReason: FinishReason | undefined;
  /** Ask the engine how many tokens its prompt has. Undefined if it cannot say. */
  readonly askPrompt: (() => AskedCount) | undefined;
  /** Of the whole request. */
  readonly clock: TokenClock;
}

/** `countPrompt`: the runtime's count of the prompt, for an engine that says nothing of it. */
export function createCompletionState(
  countPrompt: () => number,
  clock: TokenClock,
  askPrompt?: () => AskedCount,
): CompletionState {
  return { count: new UsageCount(countPrompt), finishReason: undefined, askPrompt, clock };
}

/** Tokens of one delta: its ids, or one if it has text, thinking or pieces of a call. */
export function tokensOf(delta: Delta): number {
  return delta.tokenIds?.length ?? (isEmpty(delta) ? 0 : 1);
}

function isEmpty({ text, reasoning, toolCalls }: Delta): boolean {
  return text === "" && toolCalls === undefined && (reasoning === undefined || reasoning === "");
}

/** Of these, those of thinking: nobody can say which they are if the delta has something else besides. */
export function reasoningTokensOf({ text, reasoning, toolCalls }: Delta, tokens: number): number {
  return reasoning === undefined || reasoning === "" || text !== "" || toolCalls !== undefined ? 0 : tokens;
}

/** Start an engine, unless nothing may come, and pass its deltas on, each whole, until a limit is met; the last has `finishReason` and `usage`.
 *  A delta that would pass max_tokens is dropped. A resumed request counts what was generated before. `onLone` hears of half characters that became U+FFFD.
 *  @throws RuntimeError `internal` on what is no delta. */
export async function* enforceLimits(
  request: ModelRequest,
  start: () => AsyncIterable<Delta>,
  state: CompletionState,
  onLone: () => void,
): AsyncGenerator<Delta, void, void> {
  const limiter = createLimiter(request, state);
  const pairs = createPairJoin(onLone);
  let asked = state.askPrompt?.();
  if (!limiter.isOver) {
    const deltas = new GivenItems(start(), "the engine");
    for await (const given of deltas) {
      assertEngineDelta(given);
      const delta = asked ? await withPrompt(given, asked) : given;
      asked = undefined;
      for (const allowed of pairs.isWhole(delta) ? limiter.admit(delta) : limiter.admitAll(pairs.push(delta)))
        yield allowed;
      if (state.finishReason !== undefined) return;
    }
    await deltas.end();
    for (const allowed of limiter.admitAll(pairs.flush())) yield allowed;
    if (state.finishReason !== undefined) return;
  }
  const { usage } = asked ? await withPrompt({ text: "" }, asked) : {};
  if (usage) state.count.hearPrompt(usage);
  for (const rest of limiter.close(limiter.isFull ? "length" : "stop")) yield rest;
}

// The first delta says what the prompt has, unless the engine says so itself: not before it, since an engine that refuses must do so before anything is sent.
async function withPrompt(first: Delta, asked: AskedCount): Promise<Delta> {
  if (first.usage?.promptTokens !== undefined) return first;
  const promptTokens = await asked;
  return promptTokens === undefined ? first : { ...first, usage: { ...first.usage, promptTokens } };
}

interface Limiter {
  /** True if max_tokens were generated before. */
  readonly isFull: boolean;
  /** True if the engine has nothing to say then. */
  readonly isOver: boolean;
  /** What may pass now; if the completion is over, its last delta too. */
  admit(delta: Delta): readonly Delta[];
  /** The same for several, until it is over. */
  admitAll(deltas: readonly Delta[]): readonly Delta[];
  /** What was held back, and the last delta. */
  close(reason: FinishReason): readonly Delta[];
}

function createLimiter(request: ModelRequest, state: CompletionState): Limiter {
  const { maxTokens = Number.POSITIVE_INFINITY, stop, generated } = request;
  const gate = stop.length > 0 ? createStopGate(stop) : undefined;
  const { count } = state;
  count.outputTokens = generated?.tokens ?? 0;
  count.reasoningTokens = generated?.reasoningTokens ?? 0;
  let calls = generated?.toolCalls && new ToolCalls(generated.toolCalls, false);

  // A model that has called is done for now, whatever its engine calls that.
  const toReason = (reason: FinishReason): FinishReason =>
    reason === "stop" && calls !== undefined && calls.count > 0 ? "tool_calls" : reason;

  function checkCalls(delta: Delta): Delta {
    if (!delta.toolCalls) return delta;
    calls ??= new ToolCalls([], false);
    return { ...delta, toolCalls: calls.add(delta.toolCalls, toEngineFault) };
  }

  // The last delta that is released carries the end; text before a stop string is a delta of its own.
  function end(released: readonly Delta[], reason: FinishReason, stopped: Stopped | undefined): Delta[] {
    state.finishReason = stopped ? "stop" : toReason(reason);
    const ending = { finishReason: state.finishReason, usage: count.usage };
    if (stopped) return [...released, { ...stopped.delta, ...ending, stopText: stopped.stopText }];
    return [...released.slice(0, -1), { ...(released.at(-1) ?? { text: "" }), ...ending }];
  }

  function close(reason: FinishReason, before: readonly Delta[] = []): Delta[] {
    const rest = gate?.flush();
    return end([...before, ...(rest?.released ?? [])], reason, rest?.stopped);
  }

  function admit(delta: Delta): readonly Delta[] {
    const tokens = tokensOf(delta);
    const told = delta.usage ? tellPrompt(delta, delta.usage, count) : delta;
    if (count.outputTokens + tokens > maxTokens) return close("length", toPromptOnly(told));
    count.outputTokens += tokens;
    count.reasoningTokens += reasoningTokensOf(delta, tokens);
    if (delta.usage) count.hearCompletion(delta.usage);
    state.clock.add(tokens);
    const checked = checkCalls(told);
    const { released, stopped } = gate?.push(checked) ?? pass(checked, tokens);
    if (stopped) return end(released, "stop", stopped);
    const reason = delta.finishReason ?? (count.outputTokens >= maxTokens ? "length" : undefined);
    return reason === undefined ? released : close(reason, released);
  }

  const isFull = count.outputTokens >= maxTokens;
  return {
    isFull,
    isOver: isFull && (generated !== undefined || request.logprobs?.prompt !== true),
    close,
    admit,
    admitAll: (deltas) => deltas.flatMap((delta) => (state.finishReason === undefined ? admit(delta) : [])),
  };
}

// What is said of the prompt may come in a delta whose text is one token too many.
function toPromptOnly({ promptLogprobs }: Delta): readonly Delta[] {
  return promptLogprobs ? [{ text: "", promptLogprobs }] : [];
}

function toEngineFault(problem: string): RuntimeError {
  return new RuntimeError("internal", `the engine yielded a bad delta: ${problem}`);
}

// Of what an engine says on the way only the prompt's count is passed on: that of the completion stands at its end.
function tellPrompt(whole: Delta, given: Partial<Usage>, count: UsageCount): Delta {
  const { usage: _, ...delta } = whole;
  const usage = count.hearPrompt(given);
  return usage ? { ...delta, usage } : delta;
}

function pass(delta: Delta, tokens: number): StopStep {
  return { released: says(delta, tokens) ? [delta] : [], stopped: undefined };
}

// Ids without text: another worker would miss them if it had to go on.
function says(delta: Delta, tokens: number): boolean {
  const { text, reasoning, toolCalls, prefillResult, finishReason, usage, promptLogprobs } = delta;
  if (toolCalls !== undefined || promptLogprobs !== undefined || (reasoning !== undefined && reasoning !== ""))
    return true;
  return text !== "" || tokens > 0 || prefillResult !== undefined || finishReason !== undefined || usage !== undefined;
}
