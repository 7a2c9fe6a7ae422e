/** The fields of a plain completion request that are read; unknown ones are ignored, as the official API does. */
import type { Prompt } from "@dyn/runtime/llm";
import { countOf, maxTop, type ModelJob } from "@dyn/runtime/internal";
import * as z from "zod";
import { described, shaped } from "../inference/described.ts";
import { countLimit } from "../inference/field-kinds.ts";
import { FieldError, modelName, parseFields, unsupported, type FieldLimits } from "../inference/fields.ts";
import { countJsonBytes } from "../http/json-size.ts";
import type { InferenceRequest } from "../inference/api.ts";
import type { FieldNames } from "../inference/extra.ts";
import { lengthFields, toLength } from "./length-fields.ts";
import { otherCompletionFields } from "./other-fields.ts";
import { promptsField } from "./prompts.ts";
import {
  answerFields,
  onlyOfStreams,
  samplingFields,
  stopField,
  toSampling,
  toStop,
  toUsageOptions,
  type UsageOptions,
} from "./sampling.ts";

/** Tokens of a completion whose request does not say, as in OpenAI's API. */
const defaultMaxTokens = 16;
const maxPrompts = 1_024;

const completionRequest = z.object({
  model: modelName,
  prompt: described(
    "A text, a list of token ids, or a list of up to 1024 of either; at most 1048576 token ids in all. The first item says which of these it is. null is an empty text.",
    promptsField({ max: maxPrompts, minChars: 0 }).nullable(),
  ),
  ...answerFields,
  max_tokens: described(`Most tokens of each completion; ${defaultMaxTokens} unless given.`, countLimit().nullish()),
  ...lengthFields,
  stop: stopField,
  ...samplingFields,
  echo: described(
    "True: each completion begins with its prompt. With token ids only if `logprobs` are asked for: their text is the engine's. The prompts times `n` have a limit in bytes.",
    z.boolean().nullish(),
  ),
  best_of: described("Only 0 or the same as `n`.", z.int().min(0).nullish()),
  logprobs: described(
    "How likely each token was, and so many of the likeliest ones for each place. With `echo` also for the tokens of the prompt. A 501 where the engine does not say.",
    z.int().min(0).max(maxTop).nullish(),
  ),
  suffix: described("Not supported.", z.literal("", unsupported).nullish()),
});

/** For the document of the API. */
export const completionRequestSchema: z.ZodType = shaped(completionRequest, onlyOfStreams);

export const completionFields: FieldNames = {
  read: new Set(Object.keys(completionRequest.shape)),
  others: otherCompletionFields,
};

type CompletionBody = z.infer<typeof completionRequest>;

export interface CompletionRequest extends InferenceRequest, UsageOptions {
  /** True if each choice begins with the tokens of its prompt, as the engine says them. */
  readonly echoesTokens: boolean;
  /** Text that stands before each choice: its prompt, if the client asked for an echo; undefined if that is what the engine says; else "". One per choice. */
  readonly echoes: readonly (string | undefined)[];
}

/** @throws FieldError naming the first field that is wrong. */
export function parseCompletionRequest(
  body: unknown,
  { maxCompletions, maxEchoBytes }: FieldLimits,
): CompletionRequest {
  const given = parseFields(completionRequest, body);
  const n = given.n ?? 1;
  const prompts = given.prompt ?? ([{ text: "" }] as const); // null is the beginning of a document
  if (given.stream_options && given.stream !== true)
    throw new FieldError("stream_options", "is only allowed when stream is true");
  if (given.best_of && given.best_of !== n)
    throw new FieldError("best_of", "is only supported when equal to n", "unsupported_value");
  if (prompts.length * n > maxCompletions)
    throw new FieldError(
      "n",
      `is too large: ${countOf(prompts.length, "prompt")} with ${countOf(n, "completion")} each are more than ${maxCompletions}`,
    );
  if (given.echo === true) checkEcho(prompts, n, { maxBytes: maxEchoBytes, mayBeIds: given.logprobs != null });
  return {
    stream: given.stream === true,
    ...toUsageOptions(given.stream_options),
    echoesTokens: given.echo === true && given.logprobs != null,
    echoes: prompts.flatMap((prompt) => Array.from({ length: n }, () => (given.echo === true ? toEcho(prompt) : ""))),
    job: toJob(given, prompts, n),
  };
}

function toEcho({ text, tokenIds }: Prompt): string | undefined {
  return tokenIds ? undefined : text;
}

// A prompt stands before each of its choices: a small body could ask for an answer many times its size.
function checkEcho(
  prompts: readonly Prompt[],
  n: number,
  { maxBytes, mayBeIds }: { readonly maxBytes: number; readonly mayBeIds: boolean },
): void {
  if (!mayBeIds && prompts.some((each) => each.tokenIds))
    throw new FieldError("echo", "is not supported with token ids unless logprobs are asked for", "unsupported_value");
  const bytes = n * prompts.reduce((sum, { text }) => sum + countJsonBytes(text, Number.POSITIVE_INFINITY), 0);
  if (bytes <= maxBytes) return;
  const choices = countOf(prompts.length * n, "choice");
  const limit = `the limit is ${maxBytes}, set by DYN_HTTP_ANSWER_LIMIT_MB`;
  throw new FieldError("echo", `is too large: the prompts before ${choices} are ${bytes} bytes, ${limit}`);
}

function toJob(given: CompletionBody, prompts: readonly [Prompt, ...Prompt[]], n: number): ModelJob {
  const [prompt] = prompts;
  return {
    model: given.model,
    messages: [], // the worker makes them of the prompt: it travels once
    ...(prompts.length === 1 && { prompt }),
    stop: toStop(given.stop),
    ...toLength(given, given.max_tokens ?? defaultMaxTokens),
    sampling: toSampling(given),
    ...(given.logprobs != null && { logprobs: { top: given.logprobs, ...(given.echo === true && { prompt: true }) } }),
    ...(n > 1 && { n }),
    ...(prompts.length > 1 && { prompts }),
  };
}
