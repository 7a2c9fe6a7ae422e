/** The fields that chat and plain completions share. */
import type { Sampling } from "@dyn/runtime/llm";
import * as z from "zod";
import { described, ruleOf, type JsonSchema } from "../inference/described.ts";
import { chosenBy, int64, listOf } from "../inference/field-kinds.ts";

/** Most completions per prompt, as in OpenAI's API. */
const maxN = 128;

type Optional<Schema extends z.ZodType> = z.ZodOptional<z.ZodNullable<Schema>>;

const stopText = z.string({ error: "must be a string or a list of up to 4" });
const stopTexts = listOf(z.string(), { max: 4 });

export const stopField: Optional<z.ZodType<string | string[]>> = described(
  "A text, or up to 4, at which a completion ends. They are not part of it.",
  chosenBy<string | string[]>([stopText, stopTexts], (given) =>
    Array.isArray(given) ? stopTexts : stopText,
  ).nullish(),
);

export const samplingFields: {
  readonly temperature: Optional<z.ZodNumber>;
  readonly top_p: Optional<z.ZodNumber>;
  readonly seed: Optional<typeof int64>;
  readonly frequency_penalty: Optional<z.ZodNumber>;
  readonly presence_penalty: Optional<z.ZodNumber>;
} = {
  temperature: described(
    "How freely tokens are chosen: 0 is the most likely one each time. Handed to the engine.",
    z.number().min(0).max(2).nullish(),
  ),
  top_p: described(
    "The part of the probability among which tokens are chosen. Handed to the engine.",
    z.number().min(0).max(1).nullish(),
  ),
  seed: described(
    "A whole number of 64 bits, handed to the engine with every digit. Each further choice of `n` gets the next one.",
    int64.nullish(),
  ),
  frequency_penalty: described(
    "Makes tokens less likely the more often they have come. Handed to the engine.",
    z.number().min(-2).max(2).nullish(),
  ),
  presence_penalty: described(
    "Makes tokens less likely that have come at all. Handed to the engine.",
    z.number().min(-2).max(2).nullish(),
  ),
};

type StreamOptions = z.ZodObject<{
  include_usage: Optional<z.ZodBoolean>;
  continuous_usage_stats: Optional<z.ZodBoolean>;
}>;

const streamOptions: StreamOptions = z.object({
  include_usage: described(
    "True: a last event before `[DONE]` has `usage`, and no choices; the others have `usage: null`.",
    z.boolean().nullish(),
  ),
  continuous_usage_stats: described(
    "True, with `include_usage`: every event has `usage`, as far as the answer has come.",
    z.boolean().nullish(),
  ),
});

/** Where a stream says what it has come to. */
export interface UsageOptions {
  /** At its end. */
  readonly includeUsage: boolean;
  /** In each of its events, too. */
  readonly isUsageContinuous: boolean;
}

export function toUsageOptions(given: z.infer<StreamOptions> | null | undefined): UsageOptions {
  const includeUsage = given?.include_usage === true;
  return { includeUsage, isUsageContinuous: includeUsage && given?.continuous_usage_stats === true };
}

/** How many completions, and whether as a stream. */
export const answerFields: {
  readonly n: Optional<z.ZodNumber>;
  readonly stream: Optional<z.ZodBoolean>;
  readonly stream_options: Optional<StreamOptions>;
} = {
  n: described("How many completions of each prompt; 1 unless given.", z.int().min(1).max(maxN).nullish()),
  stream: described("True: the answer is a stream of events.", z.boolean().nullish()),
  stream_options: described("Allowed only with `stream: true`.", streamOptions.nullish()),
};

/** The rule of `stream_options` as JSON schema. */
export function onlyOfStreams(): JsonSchema {
  return ruleOf(
    { properties: { stream_options: { type: "object" } }, required: ["stream_options"] },
    { properties: { stream: { const: true } }, required: ["stream"] },
  );
}

export function toSampling(body: z.infer<z.ZodObject<typeof samplingFields>>): Sampling {
  return {
    ...(body.temperature != null && { temperature: body.temperature }),
    ...(body.top_p != null && { topP: body.top_p }),
    ...(body.seed != null && { seed: body.seed }),
    ...(body.frequency_penalty != null && { frequencyPenalty: body.frequency_penalty }),
    ...(body.presence_penalty != null && { presencePenalty: body.presence_penalty }),
  };
}

export function toStop(stop: string | readonly string[] | null | undefined): readonly string[] {
  return stop == null ? [] : [stop].flat();
}
