/** Several completions of one job: the requests an engine sees, and their deltas merged into one stream. */
import { once } from "../lifetime.ts";
import type { TokenClock } from "../trace/token-clock.ts";
import type { BegunChoice, Delta, ModelJob, ModelRequest, Prompt } from "./contract.ts";
import { createCompletionState, type CompletionState } from "./limits.ts";
import type { AskedCount } from "./prompt-count.ts";
import { countPromptTokens } from "./tokens.ts";
import { readExact } from "./tool-json.ts";

/** A bare prompt as the conversation an engine may read instead. */
function toMessages({ text }: Prompt): ModelRequest["messages"] {
  return [{ role: "user", text }];
}

/** One request per choice, in the order of their indexes; a seed differs from choice to choice. */
export function toRequests({ n = 1, prompts, prefill, begun, exactJson, ...asked }: ModelJob): ModelRequest[] {
  const request = exactJson ? { ...asked, ...readExact(exactJson) } : asked;
  const withResult = (base: ModelRequest, index: number): ModelRequest =>
    prefill ? { ...base, prefillResult: prefill.results[index] } : base;
  const forPrompt = (prompt: Prompt): ModelRequest => ({ ...request, prompt, messages: toMessages(prompt) });
  const bases = (prompts ? prompts.map(forPrompt) : [request.prompt ? forPrompt(request.prompt) : request]).map(
    withResult,
  );
  const requests = bases.flatMap((base) => Array.from({ length: n }, (_, index) => withSeed(base, index)));
  return begun ? requests.map((each, index) => withBeginning(each, begun[index])) : requests;
}

/** One choice at the engine. */
export interface Run {
  readonly request: ModelRequest;
  readonly state: CompletionState;
}

/** One run per choice, in the order of their indexes. Those of a prompt share its count, made when somebody wants it: it may be as long as a frame.
 *  `ask`: how the engine is asked for its own, which is wanted when the first of them begins. */
export function createRuns(job: ModelJob, clock: TokenClock, ask?: (request: ModelRequest) => AskedCount): Run[] {
  let countPrompt = (): number => 0;
  let askPrompt: (() => AskedCount) | undefined;
  return toRequests(job).map((request, index) => {
    if (index % (job.n ?? 1) === 0) {
      countPrompt = createPromptCount(request);
      askPrompt = ask && once(() => ask(request));
    }
    return { request, state: createCompletionState(countPrompt, clock, askPrompt) };
  });
}

function createPromptCount(request: ModelRequest): () => number {
  let count: number | undefined;
  return () => (count ??= countPromptTokens(request));
}

function withBeginning(request: ModelRequest, begun: BegunChoice | undefined): ModelRequest {
  return begun && begun.tokens > 0 ? { ...request, generated: begun } : request;
}

function withSeed(request: ModelRequest, index: number): ModelRequest {
  const { seed } = request.sampling;
  return seed === undefined || index === 0
    ? request
    : { ...request, sampling: { ...request.sampling, seed: addToSeed(seed, index) } };
}

// Behind the last seed comes the first.
function addToSeed(seed: number | bigint, index: number): number | bigint {
  const sum = BigInt.asIntN(64, BigInt(seed) + BigInt(index));
  return Number.isSafeInteger(Number(sum)) ? Number(sum) : sum;
}

export interface Merging {
  /** Resolves when one more choice may begin; disposed when that has ended. */
  readonly begin: () => Promise<Disposable>;
  /** Called if choices are to end before their time: one has failed, or the reader leaves. */
  readonly stop: () => void;
}

/** All of `choices`, by index, as many at the same time as may begin; each delta is marked with its index. A choice is held until its last delta has been taken.
 *  Rejects with the first failure. */
export async function* mergeChoices(
  choices: ReadonlyMap<number, AsyncIterable<Delta>>,
  { begin, stop }: Merging,
): AsyncGenerator<Delta, void, void> {
  let ready: Delta[] = [];
  let running = choices.size;
  let failure: { readonly cause: unknown } | undefined;
  let isOver = false;
  let arrived = Promise.withResolvers<void>();
  let taken = Promise.withResolvers<void>();
  let held = taken;

  async function pump([choice, deltas]: readonly [number, AsyncIterable<Delta>]): Promise<void> {
    try {
      using _place = await begin();
      for await (const { usage: _, ...delta } of deltas) {
        if (isOver) return;
        ready.push({ ...delta, choice });
        arrived.resolve();
        await taken.promise;
      }
    } catch (cause) {
      failure ??= { cause };
    } finally {
      running -= 1;
      arrived.resolve(); // an empty batch with nobody running is the end
    }
  }

  const pumps = [...choices].map(pump);
  if (running === 0) arrived.resolve();
  try {
    for (;;) {
      await arrived.promise;
      arrived = Promise.withResolvers();
      if (failure) throw failure.cause;
      const batch = ready;
      ready = [];
      held = taken;
      taken = Promise.withResolvers();
      yield* batch;
      held.resolve();
      if (running === 0 && batch.length === 0) return;
    }
  } finally {
    isOver = true;
    if (running > 0) stop();
    held.resolve();
    taken.resolve();
    await Promise.all(pumps);
  }
}
