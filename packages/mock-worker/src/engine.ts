/** The mock engine: it plays the plan of an answer, one token at a time, at a given pace. */
import type { RequestContext } from "@dyn/runtime";
import type { Delta, Engine, ModelRequest } from "@dyn/runtime/llm";
import { partsOf, countPromptTokens } from "@dyn/runtime/internal";
import { lengthen } from "./answers/length.ts";
import { withLogprobs } from "./answers/logprobs.ts";
import type { Plan } from "./answers/plan.ts";
import { play, type Step } from "./answers/play.ts";
import { toPlan, type Habits } from "./answers/rules.ts";
import { createClockwork } from "./pace/pace.ts";
import { injectFault, type Fault, type FaultPlan, type FaultTarget } from "./faults/faults.ts";
import type { MockOptions } from "./options.ts";
import type { Recorder, Recording } from "./record/recorder.ts";
import type { ScriptControl } from "./script/control.ts";
import type { PlayedScript } from "./script/script.ts";
import { createUnseen, type SeenRequests, type Sighting } from "./seen/seen.ts";

export type Pace = Pick<MockOptions, "ttftMs" | "itlMs" | "speedupRatio" | "seed" | "disaggregationMode"> &
  Partial<Pick<MockOptions, "prefillTokensPerS" | "toolCalls" | "reasoningTokens">>;

/** What is the worker's besides its pace. */
export interface EngineParts {
  /** What goes wrong in it. */
  readonly plan: FaultPlan;
  readonly crash: () => void;
  /** Its rules come before the mock's own. */
  readonly script?: ScriptControl;
  /** Answers what no rule is for, in place of the mock's own rules. */
  readonly recorder?: Recorder | undefined;
  /** Where it writes down what it is asked. */
  readonly seen?: SeenRequests | undefined;
}

/** Create an engine for one worker. Nothing in it is random: token ids follow from `seed` and the token, faults from their plan, times that vary from `seed`
 *  and the number of the request. */
export function createEchoEngine(pace: Pace, parts?: EngineParts): Engine {
  const { seed, disaggregationMode } = pace;
  const clockwork = createClockwork(pace);
  return async function* echo(request, context) {
    const { signal } = context;
    using clock = createClock(signal);
    const target = toTarget(context, clock, parts);
    const times = clockwork.next(request);
    if (disaggregationMode === "prefill") {
      await createSteps(parts?.plan.next() ?? [], target, signal).next(times.firstMs);
      yield { text: "", prefillResult: { prompt_tokens: countPromptTokens(request), seed } } satisfies Delta;
      return;
    }
    const { played, recording, faults, sighting } = findAnswer(request, context, { seed, habits: pace, parts });
    const steps = createSteps(faults, target, signal);
    let waitMs = disaggregationMode === "decode" ? 0 : times.firstMs; // a decode worker begins where the prefill worker ended
    try {
      if (recording) yield* recording.deltas;
      for (const step of played) {
        if (step.type === "pace") waitMs = clockwork.scale(step.ms);
        else if (step.type !== undefined) await happen(step, target, clockwork.scale);
        else {
          const waiting = steps.next(waitMs);
          if (waiting) await waiting;
          waitMs = times.nextMs(sighting.add(step));
          yield step;
        }
      }
      await steps.next(0); // a fault may be due after the last token
      sighting.isComplete = true;
    } catch (error) {
      sighting.error = error;
      throw error;
    } finally {
      sighting.end(signal.aborted);
    }
  };
}

function toSteps(plan: Plan, request: ModelRequest, seed: number): Iterable<Step> {
  const steps = play(plan, { seed, done: request.generated?.tokens ?? 0 });
  return request.logprobs ? withLogprobs(steps, request, seed) : steps;
}

interface Answer {
  /** Empty if somebody else answers. */
  readonly played: Iterable<Step>;
  readonly recording: Recording | undefined;
  readonly faults: readonly Fault[];
  readonly sighting: Sighting;
}

interface AnswerOptions {
  readonly seed: number;
  readonly habits: Habits;
  readonly parts: EngineParts | undefined;
}

function findAnswer(request: ModelRequest, context: RequestContext, options: AnswerOptions): Answer {
  const { seed, habits, parts } = options;
  const found = findRule(request, context, parts);
  const recording = found?.plan ? undefined : parts?.recorder?.ask(request, context);
  const make = recording?.toPlan ?? ((): Plan => toWhole(found?.plan ?? toPlan(request, habits), request));
  const how = { rule: found?.rule, isRecorded: recording !== undefined, toPlan: make };
  return {
    played: recording ? [] : toSteps(make(), request, seed),
    recording,
    faults: join(parts?.plan.next(), found?.faults),
    sighting: parts?.seen?.begin(request, context, how) ?? createUnseen(),
  };
}

function toWhole(plan: Plan, request: ModelRequest): Plan {
  return request.ignoreEos === true || request.minTokens !== undefined ? lengthen(plan, request) : plan;
}

function findRule(
  request: ModelRequest,
  context: RequestContext,
  parts: EngineParts | undefined,
): ReturnType<PlayedScript["find"]> {
  return parts?.script?.current?.find(request, context);
}

function join(ofWorker: readonly Fault[] = [], ofRule: readonly Fault[] = []): readonly Fault[] {
  return ofRule.length > 0 ? [...ofWorker, ...ofRule] : ofWorker;
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
  /** Wait for the time of the next token, and let the faults that are due be injected before it. Undefined if there is nothing to wait for. */
  next(waitMs: number): Promise<void> | undefined;
}

function createSteps(faults: readonly Fault[], target: FaultTarget, signal: AbortSignal): Steps {
  let sent = 0;
  const step = async (waitMs: number): Promise<void> => {
    if (waitMs > 0) await target.sleep(waitMs);
    for (const fault of faults) if (fault.afterTokens === sent) await injectFault(fault, target);
    sent += 1;
    signal.throwIfAborted();
  };
  return {
    next(waitMs) {
      if (waitMs > 0 || faults.length > 0) return step(waitMs);
      signal.throwIfAborted();
      return undefined;
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
