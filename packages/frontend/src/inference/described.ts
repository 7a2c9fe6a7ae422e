/** What the document of the API says of a field: words, and the JSON schema of what zod cannot tell. Read when somebody asks for the document. */
import * as z from "zod";

export type JsonSchema = z.core.JSONSchema.JSONSchema;

/** The JSON schema of what a client may send for it. */
export type ToJsonSchema = (schema: z.ZodType) => JsonSchema;

/** Makes the JSON schema of a schema that is a function. */
export type Shape = (toJsonSchema: ToJsonSchema) => JsonSchema;

/** `schema` itself, with words for a reader of the document: each schema once. Zod's own `describe` makes a copy, which costs 50 µs for each field at every start. */
export function described<Schema extends z.ZodType>(description: string, schema: Schema): Schema {
  z.globalRegistry.add(schema, { ...z.globalRegistry.get(schema), description });
  return schema;
}

/** The rule that an object which is as `when` must be as `then`. No `anyOf` beside the fields: generators of clients make an alternative to all fields of it. */
export function ruleOf(when: Rule, then: Rule): JsonSchema {
  // oxlint-disable-next-line no-thenable -- it is the keyword of JSON schema
  return { if: when, then };
}

/** What some fields of an object are; those that are `required` must be there. */
export type Rule = Required<Pick<JsonSchema, "properties" | "required">>;

/** `schema` itself, whose JSON schema is what `shape` makes: zod sees no further than a transformation. */
export function shaped<Schema extends z.ZodType>(schema: Schema, shape: Shape): Schema {
  z.globalRegistry.add(schema, { ...z.globalRegistry.get(schema), shape });
  return schema;
}
