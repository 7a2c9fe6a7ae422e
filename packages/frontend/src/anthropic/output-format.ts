/** The form that an answer must have, in Anthropic's words. */
import type { ResponseFormat } from "@dyn/runtime/llm";
import { isMap } from "@dyn/runtime/internal";
import * as z from "zod";
import { described } from "../inference/described.ts";
import type { ExactMember } from "../inference/exact.ts";
import { anyObject, kindOf } from "../inference/field-kinds.ts";
import { toTools } from "./tools.ts";

const format: z.ZodType = kindOf<unknown>(
  {
    json_schema: z.looseObject({
      schema: described("JSON Schema of the text, handed to the engine as it is.", anyObject()),
    }),
  },
  () => undefined,
);

type Formats = {
  readonly output_config: z.ZodOptional<z.ZodNullable<z.ZodType<{ format?: unknown; effort?: unknown }>>>;
  readonly output_format: z.ZodOptional<z.ZodNullable<z.ZodType>>;
};

/** Both fields that may say it. */
export const outputFields: Formats = {
  output_config: described(
    "`format` is the form that the text must have, `effort` how much the model thinks. The rest is ignored.",
    z.looseObject({ format: format.nullish(), effort: z.unknown().optional() }).nullish(),
  ),
  output_format: described("The older place of `output_config.format`, which wins.", format.nullish()),
};

/** What engines see of them. */
export function toResponseFormat(config: unknown, older: unknown): ResponseFormat | undefined {
  const given = (isMap(config) ? config["format"] : undefined) ?? older;
  return isMap(given) && given["type"] === "json_schema" && isMap(given["schema"])
    ? { schema: given["schema"], strict: true }
    : undefined;
}

/** Schemas of a messages request. */
export const exactMembers: readonly ExactMember[] = [
  { member: "tools", field: "tools", read: (given) => toTools(given as unknown[]) }, // the schema takes lists
  { member: "output_format", field: "responseFormat", read: (given) => toResponseFormat(undefined, given) },
  { member: "output_config", field: "responseFormat", read: (given) => toResponseFormat(given, undefined) },
];
