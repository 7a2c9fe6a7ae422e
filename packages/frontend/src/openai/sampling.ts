/** The fields that chat and plain completions share. */
import type { Sampling } from "@dyn/runtime/llm";
import * as z from "zod";
import { chosenBy, int64, listOf } from "../inference/fields.ts";

/** Most completions per prompt, as in OpenAI's API. */
export const maxN = 128;

type Optional<Schema extends z.ZodType> = z.ZodOptional<z.ZodNullable<Schema>>;

const stopText = z.string({ error: "must be a string or a list of up to 4" });
const stopTexts = listOf(z.string(), { max: 4 });

export const stopField: Optional<z.ZodType<string | string[]>> = chosenBy<string | string[]>((given) =>
  Array.isArray(given) ? stopTexts : stopText,
).nullish();

export const samplingFields: {
  readonly temperature: Optional<z.ZodNumber>;
  readonly top_p: Optional<z.ZodNumber>;
  readonly seed: Optional<typeof int64>;
  readonly frequency_penalty: Optional<z.ZodNumber>;
  readonly presence_penalty: Optional<z.ZodNumber>;
} = {
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  seed: int64.nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
};

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
