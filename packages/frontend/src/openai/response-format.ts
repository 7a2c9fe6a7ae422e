/** The form that a chat answer must have, in OpenAI's words. */
import type { ResponseFormat } from "@dyn/runtime/llm";
import { isMap } from "@dyn/runtime/internal";
import * as z from "zod";
import { described } from "../inference/described.ts";
import { anyObject, kindOf } from "../inference/field-kinds.ts";

/** The schema of an answer. */
export const schema: z.ZodType<Readonly<Record<string, unknown>> | null | undefined> = described(
  "JSON Schema of it, handed to the engine as it is.",
  anyObject().nullish(),
);

const named = {
  name: z.string().nullish(),
  strict: described("True: the answer must be as `schema` says.", z.boolean().nullish()),
};

/** A schema with its name. */
export const namedSchema: z.ZodType = z.looseObject({
  ...named,
  schema: described("JSON Schema of the answer, handed to the engine as it is.", anyObject()),
});

const jsonSchema = z.looseObject({ json_schema: z.looseObject({ ...named, schema }) });

/** `json_object` with a schema is what llama.cpp and others take. Kinds that are not known are left out. */
export const responseFormatField: z.ZodType = kindOf<unknown>(
  { text: z.looseObject({}), json_object: z.looseObject({ schema }), json_schema: jsonSchema },
  () => undefined,
);

/** What engines see of one that is as `responseFormatField` says. */
export function toResponseFormat(given: unknown): ResponseFormat | undefined {
  if (!isMap(given)) return undefined;
  if (given["type"] === "json_object") return toFormat({ schema: given["schema"] });
  return given["type"] === "json_schema" && isMap(given["json_schema"]) ? toFormat(given["json_schema"]) : undefined;
}

/** What engines see of a schema with its name. */
export function toFormat({ schema: shape, name, strict }: Readonly<Record<string, unknown>>): ResponseFormat {
  return {
    ...(isMap(shape) && { schema: shape }),
    ...(typeof name === "string" && { name }),
    ...(typeof strict === "boolean" && { strict }),
  };
}
