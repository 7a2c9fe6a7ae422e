/** The mock engine: the completion is a tool call or an echo, one token at a time, at a given pace. */
import type { Delta, Engine, ModelRequest } from "@dyn/runtime/llm";
import { partsOf, countPromptTokens, splitTokens } from "@dyn/runtime/internal";
import { cut, toEcho, toJson, toPieces } from "./answers/tool-calls.ts";
import { injectFault, type FaultPlan, type FaultTarget } from "./faults/faults.ts";
import type { MockOptions } from "./options.ts";

export type Pace = Pick<MockOptions, "ttftMs" | "itlMs" | "speedupRatio" | "seed" | "disaggregationMode">;

/** What goes wrong in it. */
export interface EngineFaults {
  readonly plan: FaultPlan;
  readonly crash: () => void;
}

/** Create an engine for one worker. Nothing in it is random: token ids follow from `seed` and the token, faults from their plan. */
export function createEchoEngine(
  { ttftMs, itlMs, speedupRatio, seed, disaggregationMode }: Pace,
  wrong?: EngineFaults,
): Engine {
  const scale = (ms: number): number => (speedupRatio === 0 ? 0 : ms / speedupRatio);
  const firstMs = scale(ttftMs);
  const nextMs = scale(itlMs);
  return async function* echo(request, context) {
    const { signal } = context;
    using clock = createClock(signal);
    const faults = wrong?.plan.next() ?? [];
    const target: FaultTarget = {
      connection: () => partsOf(context).connection,
      log: partsOf(context).logger,
      sleep: (ms) => clock.sleep(ms),
      hold: async () => wrong?.plan.hold(signal),
      crash: () => wrong?.crash(),
    };
    let sent = 0;
    // Wait for the time of the next token, and let the faults that are due be injected before it.
    const step = async (waitMs: number): Promise<void> => {
      if (waitMs > 0) await clock.sleep(waitMs);
      for (const fault of faults) {
        if (fault.afterTokens === sent) await injectFault(fault, target);
      }
      sent += 1;
      signal.throwIfAborted();
    };
    if (disaggregationMode === "prefill") {
      await step(firstMs);
      yield { text: "", prefillResult: { prompt_tokens: countPromptTokens(request), seed } } satisfies Delta;
      return;
    }
    let waitMs = disaggregationMode === "decode" ? 0 : firstMs; // a decode worker begins where the prefill worker ended
    for (const piece of toDeltas(request, seed)) {
      if (waitMs > 0 || faults.length > 0) await step(waitMs);
      else signal.throwIfAborted();
      waitMs = nextMs;
      yield piece;
    }
    if (faults.length > 0) await step(0); // one may be due after the last token
  };
}

// A call, or else an echo, without what another worker has made of it already.
function* toDeltas(request: ModelRequest, seed: number): Generator<Delta, void, void> {
  const done = request.generated?.tokens ?? 0;
  let pieces = 0;
  if (request.tools)
    for (const piece of toPieces(request)) {
      pieces += 1;
      if (pieces > done)
        yield { text: "", toolCalls: [piece], tokenIds: [toTokenId(seed, piece.name ?? piece.arguments ?? "")] };
    }
  if (pieces > 0) return;
  const { responseFormat } = request;
  if (responseFormat) {
    const texts = cut(toJson(toEcho(request), responseFormat));
    for (const text of texts.slice(done)) yield { text, tokenIds: [toTokenId(seed, text)] };
    return;
  }
  for (const text of splitTokens(toEcho(request), done)) yield { text, tokenIds: [toTokenId(seed, text)] };
}

// FNV-1a over the UTF-16 units, begun at the seed.
function toTokenId(seed: number, text: string): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let index = 0; index < text.length; index += 1)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  return hash;
}

interface Clock extends Disposable {
  /** Resolves after `ms`, or at once when the request is aborted. One sleep at a time. */
  sleep(ms: number): Promise<void>;
}

// One abort listener per request, not one per token.
function createClock(signal: AbortSignal): Clock {
  let wake: (() => void) | undefined;
  const onAbort = (): void => wake?.();
  signal.addEventListener("abort", onAbort, { once: true });
  return {
    sleep: (ms) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve();
        const timer = setTimeout(resolve, ms);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      }),
    [Symbol.dispose]: () => signal.removeEventListener("abort", onAbort),
  };
}
