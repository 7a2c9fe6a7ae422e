/** From schemas as the product has them to JSON schemas as OpenAPI has them. */
import * as z from "zod";
import type { JsonSchema, Shape } from "../inference/described.ts";

const options = { io: "input", unrepresentable: "any", override } as const;

/** What a client may send, or is sent. */
export function toJsonSchema(schema: z.ZodType): JsonSchema {
  const { $schema: _, ...json } = z.toJSONSchema(schema, options);
  return simplify(json);
}

/** Each under its name; where one is part of another, the other refers to it. */
export function toComponents(schemas: Readonly<Record<string, z.ZodType>>): Readonly<Record<string, JsonSchema>> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(schemas)) registry.add(schema, { id });
  const converted = z.toJSONSchema(registry, { ...options, uri: toReference }).schemas;
  return Object.fromEntries(
    Object.keys(schemas).map((id) => {
      const { $schema: _, $id: __, ...json } = converted[id] ?? {};
      return [id, simplify(json)];
    }),
  );
}

/** Where the document has the schema of that name. */
export function toReference(id: string): string {
  return `#/components/schemas/${id}`;
}

function override({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodTypes; jsonSchema: JsonSchema }): void {
  dropNoise(jsonSchema);
  const shape = z.globalRegistry.get(zodSchema)?.["shape"] as Shape | undefined; // `shaped` has put it there
  if (!shape) return;
  delete jsonSchema["shape"];
  Object.assign(jsonSchema, shape(toJsonSchema));
}

// The bounds of every whole number, and the 300 characters that say "date-time" once more.
function dropNoise(jsonSchema: JsonSchema): void {
  if (jsonSchema.format === "date-time") delete jsonSchema.pattern;
  if (jsonSchema.minimum !== Number.MIN_SAFE_INTEGER) return;
  delete jsonSchema.minimum;
  delete jsonSchema.maximum;
}

/** The same in fewer words: one of several that are themselves one of several, and what may also be null. */
function simplify<Json>(json: Json): Json {
  if (Array.isArray(json)) return json.map(simplify) as Json;
  if (typeof json !== "object" || json === null) return json;
  const { anyOf, ...rest } = Object.fromEntries(Object.entries(json).map(([key, value]) => [key, simplify(value)]));
  if (!Array.isArray(anyOf)) return { ...rest, ...(anyOf !== undefined && { anyOf }) } as Json;
  const choices = (anyOf as JsonSchema[]).flatMap((choice) => (isChoice(choice) ? choice.anyOf : [choice]));
  return { ...rest, ...(toNullable(choices) ?? { anyOf: choices }) } as Json;
}

function isChoice(schema: JsonSchema): schema is JsonSchema & { anyOf: JsonSchema[] } {
  return Object.keys(schema).length === 1 && schema.anyOf !== undefined;
}

// Bounds of numbers, texts, lists and objects do not bind null.
function toNullable([one, other, ...more]: readonly JsonSchema[]): JsonSchema | undefined {
  if (!one || other?.type !== "null" || Object.keys(other).length > 1 || more.length > 0) return undefined;
  if (typeof one.type !== "string") return undefined;
  if (one.enum) return { ...one, type: [one.type, "null"], enum: [...one.enum, null] };
  if (one.const === undefined) return { ...one, type: [one.type, "null"] };
  return { enum: [one.const, null] };
}
