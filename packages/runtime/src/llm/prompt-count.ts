/** Tokens of a prompt as the engine counts them: through what whoever serves the model has given, which is foreign code. */
import { RuntimeError } from "../errors.ts";
import { describeValue } from "../excerpt.ts";
import { partsOf, type RequestContext } from "../handler.ts";
import { orAborted } from "../lifetime.ts";
import type { CountTokens, ModelRequest, RenderPrompt } from "./contract.ts";
import { isCount } from "./deltas.ts";
import { schemasOf } from "./tokens.ts";

/** What is served with the model. */
export interface PromptHooks {
  readonly countTokens: CountTokens;
  readonly render: RenderPrompt | undefined;
}

/** The engine's count, or undefined if it has none to give. Never rejects. */
export type AskedCount = Promise<number | undefined>;

/** Counts the prompt of a request that is answered. */
export type CountForUsage = (request: ModelRequest, context: RequestContext) => AskedCount;

/** How long the first token of an answer may wait for the count of its prompt, ms. */
const patienceMs = 2_000;

/** Count one prompt. Rejects with what the hooks throw, with the signal's reason, or with `internal` if they give something else. */
export async function countPrompt(
  request: ModelRequest,
  { countTokens, render }: PromptHooks,
  context: RequestContext,
): Promise<number> {
  const { prompt } = request;
  const { signal } = context;
  if (prompt?.tokenIds) return prompt.tokenIds.length;
  const ask = async (): Promise<number> => {
    const text: unknown = prompt ? prompt.text : render ? await render(request, context) : joinTexts(request);
    if (typeof text !== "string")
      throw new RuntimeError("internal", `render must give a string, got ${describeValue(text)}`);
    signal.throwIfAborted();
    const count: unknown = await countTokens(text, request, context);
    if (isCount(count)) return count;
    throw new RuntimeError("internal", `countTokens must give a whole number from 0, got ${describeValue(count)}`);
  };
  signal.throwIfAborted();
  return orAborted(ask(), signal);
}

// A stack shows where a hook has failed; there is none to show where we gave up, or say what it gave.
function toShown(error: unknown): unknown {
  return error instanceof RuntimeError && error.cause === undefined ? error.message : error;
}

// All that an engine reads, in no template's words.
function joinTexts(request: ModelRequest): string {
  const said = request.messages.flatMap(({ text, reasoning, toolCalls = [] }) => [
    ...(reasoning === undefined ? [] : [reasoning]),
    ...(text === "" && toolCalls.length > 0 ? [] : [text]),
    ...toolCalls.map((call) => `${call.name} ${call.arguments}`),
  ]);
  return [...said, ...schemasOf(request)].join("\n");
}

/** Count for usage: a model whose hooks fail, or take longer than `limitMs`, is served all the same. */
export function createUsageCount(model: string, hooks: PromptHooks, limitMs: number = patienceMs): CountForUsage {
  return async (request, context) => {
    const { signal } = context;
    const late = new AbortController();
    const giveUp = (): void =>
      late.abort(
        new RuntimeError("deadline_exceeded", `the tokens of the prompt were not counted within ${limitMs} ms`),
      );
    const timer = setTimeout(giveUp, limitMs);
    try {
      await Promise.resolve(); // the engine begins first: it may work while a tokenizer calculates
      return await countPrompt(request, hooks, { ...context, signal: AbortSignal.any([signal, late.signal]) });
    } catch (error) {
      if (!signal.aborted)
        partsOf(context)
          .logger()
          .child({ target: "dyn_runtime::llm" })
          .summed(
            "warn",
            { model, error: toShown(error) },
            "the engine could not count a prompt, usage has the runtime's count",
          );
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  };
}
