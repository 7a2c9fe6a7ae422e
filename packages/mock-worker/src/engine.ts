/** The mock engine: it plays the plan of an answer, one token at a time, at a given pace. */
import type { Delta, Engine } from "@dyn/runtime/llm";
import { partsOf, countPromptTokens } from "@dyn/runtime/internal";
import { play } from "./answers/play.ts";
import { toPlan } from "./answers/rules.ts";
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
    for (const next of play(toPlan(request), { seed, done: request.generated?.tokens ?? 0 })) {
      if (next.type === "pace") waitMs = scale(next.ms);
      else if (next.type === "delay") await clock.sleep(scale(next.ms));
      else if (next.type === "fault") await injectFault(next.fault, target);
      else {
        if (waitMs > 0 || faults.length > 0) await step(waitMs);
        else signal.throwIfAborted();
        waitMs = nextMs;
        yield next;
      }
    }
    if (faults.length > 0) await step(0); // one may be due after the last token
  };
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
