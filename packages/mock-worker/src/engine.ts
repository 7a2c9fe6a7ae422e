/** The mock engine: it plays the plan of an answer, one token at a time, at a given pace. */
import type { RequestContext } from "@dyn/runtime";
import type { Delta, Engine, ModelRequest } from "@dyn/runtime/llm";
import { partsOf, countPromptTokens } from "@dyn/runtime/internal";
import { lengthen } from "./answers/length.ts";
import { withLogprobs } from "./answers/logprobs.ts";
import type { Plan } from "./answers/plan.ts";
import { play, type Step } from "./answers/play.ts";
import { toPlan } from "./answers/rules.ts";
import { injectFault, type Fault, type FaultPlan, type FaultTarget } from "./faults/faults.ts";
import type { MockOptions } from "./options.ts";
import type { ScriptControl } from "./script/control.ts";

export type Pace = Pick<MockOptions, "ttftMs" | "itlMs" | "speedupRatio" | "seed" | "disaggregationMode"> &
  Partial<Pick<MockOptions, "reasoningTokens">>;

/** What is the worker's besides its pace. */
export interface EngineParts {
  /** What goes wrong in it. */
  readonly plan: FaultPlan;
  readonly crash: () => void;
  /** Its rules come before the mock's own. */
  readonly script?: ScriptControl;
}

/** Create an engine for one worker. Nothing in it is random: token ids follow from `seed` and the token, faults from their plan. */
export function createEchoEngine(
  { ttftMs, itlMs, speedupRatio, seed, disaggregationMode, reasoningTokens }: Pace,
  parts?: EngineParts,
): Engine {
  const scale = (ms: number): number => (speedupRatio === 0 ? 0 : ms / speedupRatio);
  const firstMs = scale(ttftMs);
  const nextMs = scale(itlMs);
  return async function* echo(request, context) {
    const { signal } = context;
    using clock = createClock(signal);
    const target = toTarget(context, clock, parts);
    if (disaggregationMode === "prefill") {
      await createSteps(parts?.plan.next() ?? [], target, signal).next(firstMs);
      yield { text: "", prefillResult: { prompt_tokens: countPromptTokens(request), seed } } satisfies Delta;
      return;
    }
    const { plan = toPlan(request, reasoningTokens), faults } = findAnswer(request, context, parts);
    const steps = createSteps(faults, target, signal);
    let waitMs = disaggregationMode === "decode" ? 0 : firstMs; // a decode worker begins where the prefill worker ended
    for (const step of toSteps(plan, request, seed)) {
      if (step.type === "pace") waitMs = scale(step.ms);
      else if (step.type !== undefined) await happen(step, target, scale);
      else {
        if (waitMs > 0 || faults.length > 0) await steps.next(waitMs);
        else signal.throwIfAborted();
        waitMs = nextMs;
        yield step;
      }
    }
    if (faults.length > 0) await steps.next(0); // one may be due after the last token
  };
}

function toSteps(plan: Plan, request: ModelRequest, seed: number): Iterable<Step> {
  const isLong = request.ignoreEos === true || request.minTokens !== undefined;
  const steps = play(isLong ? lengthen(plan, request) : plan, { seed, done: request.generated?.tokens ?? 0 });
  return request.logprobs ? withLogprobs(steps, request, seed) : steps;
}

interface Answer {
  /** Undefined if no rule of a script is for it. */
  readonly plan: Plan | undefined;
  readonly faults: readonly Fault[];
}

function findAnswer(request: ModelRequest, context: RequestContext, parts: EngineParts | undefined): Answer {
  const scripted = parts?.script?.current?.find(request, context);
  const faults = parts?.plan.next() ?? [];
  return {
    plan: scripted?.plan,
    faults: scripted && scripted.faults.length > 0 ? [...faults, ...scripted.faults] : faults,
  };
}

function toTarget(context: RequestContext, clock: Clock, parts: EngineParts | undefined): FaultTarget {
  return {
    connection: () => partsOf(context).connection,
    log: partsOf(context).logger,
    sleep: (ms) => clock.sleep(ms),
    hold: async () => parts?.plan.hold(context.signal),
    crash: () => parts?.crash(),
  };
}

interface Steps {
  /** Wait for the time of the next token, and let the faults that are due be injected before it. */
  next(waitMs: number): Promise<void>;
}

function createSteps(faults: readonly Fault[], target: FaultTarget, signal: AbortSignal): Steps {
  let sent = 0;
  return {
    async next(waitMs) {
      if (waitMs > 0) await target.sleep(waitMs);
      for (const fault of faults) if (fault.afterTokens === sent) await injectFault(fault, target);
      sent += 1;
      signal.throwIfAborted();
    },
  };
}

// What stands in a plan between its tokens.
async function happen(
  step: Exclude<Step, { type?: never } | { type: "pace" }>,
  target: FaultTarget,
  scale: (ms: number) => number,
): Promise<void> {
  switch (step.type) {
    case "delay":
      return target.sleep(scale(step.ms));
    case "fault":
      return injectFault(step.fault, target);
    case "error":
      throw step.toError();
  }
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
