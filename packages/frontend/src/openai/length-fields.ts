/** Fields that say how long a completion is to be, for those who measure: as vLLM and others have them. */
import type { ModelJob } from "@dyn/runtime/internal";
import * as z from "zod";
import { described } from "../inference/described.ts";
import { countLimit } from "../inference/field-kinds.ts";
import { FieldError } from "../inference/fields.ts";

type Optional<Schema extends z.ZodType> = z.ZodOptional<z.ZodNullable<Schema>>;

export const lengthFields: {
  readonly min_tokens: Optional<z.ZodType<number>>;
  readonly ignore_eos: Optional<z.ZodBoolean>;
} = {
  min_tokens: described(
    "Fewest tokens of each completion, unless a stop text ends it; at most as many as the most. Handed to the engine.",
    countLimit().nullish(),
  ),
  ignore_eos: described(
    "True: it goes on where the model would end, up to `max_tokens`. Handed to the engine.",
    z.boolean().nullish(),
  ),
};

/** @throws FieldError if the fewest are more than the most. */
export function toLength(
  { min_tokens: minTokens, ignore_eos: ignoreEos }: z.infer<z.ZodObject<typeof lengthFields>>,
  maxTokens: number | undefined,
): Pick<ModelJob, "maxTokens" | "minTokens" | "ignoreEos"> {
  if (minTokens != null && minTokens > (maxTokens ?? minTokens))
    throw new FieldError("min_tokens", `must be at most ${maxTokens}, the most tokens of a completion`);
  return {
    ...(maxTokens !== undefined && { maxTokens }),
    ...(minTokens != null && minTokens > 0 && { minTokens }),
    ...(ignoreEos === true && { ignoreEos }),
  };
}
