/** A JSON schema as rows of a table: one for each field, however deep. */
import type { JsonSchema } from "../inference/described.ts";
import { inline, markup, type Html } from "./html.ts";

/** A table of the fields of an object; what it holds besides is in words. Undefined for anything else. */
export function toFieldTable(schema: JsonSchema): Html | undefined {
  const rows = toRows(schema, "");
  if (rows.length === 0) return undefined;
  return markup`<table>
<thead><tr><th>field</th><th>type</th><th>limits</th><th></th></tr></thead>
<tbody>
${rows}</tbody>
</table>
`;
}

function toRows({ properties = {}, required = [] }: JsonSchema, path: string): readonly Html[] {
  const rows: Html[] = [];
  for (const [name, field] of Object.entries(properties) as [string, JsonSchema][]) {
    const at = path === "" ? name : `${path}.${name}`; // a schema of ours is never a boolean
    rows.push(toRow(at, field, required.includes(name)), ...within(field, at));
  }
  return rows;
}

function toRow(path: string, field: JsonSchema, isRequired: boolean): Html {
  const need = isRequired ? markup` <strong>required</strong>` : "";
  return markup`<tr><td><code>${path}</code>${need}</td><td>${toType(field)}</td><td>${toLimits(field)}</td><td>${inline(field.description ?? "")}</td></tr>
`;
}

// Fields of an object, of the items of a list, of each kind of either: a kind has its type behind its name.
function within(field: JsonSchema, path: string): readonly Html[] {
  return kindsOf(field).flatMap((kind) => {
    if (kind.items) return within(kind.items as JsonSchema, `${path}[]`);
    const { type, ...others } = kind.properties ?? {};
    const name = (type as JsonSchema | undefined)?.const;
    if (typeof name === "string") return toRows({ ...kind, properties: others }, `${path}(${name})`);
    return field.anyOf && type ? [] : toRows(kind, path); // of kinds that are not known, only the type matters
  });
}

function kindsOf(schema: JsonSchema): readonly JsonSchema[] {
  return schema.anyOf && schema.type === undefined ? schema.anyOf : [schema];
}

/** What it is, in a few words. */
export function toType(schema: JsonSchema): Html {
  if (schema.$ref !== undefined) return toSchemaLink(schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1));
  if (schema.const !== undefined) return markup`<code>${JSON.stringify(schema.const)}</code>`;
  if (schema.enum) return join(schema.enum.map((value) => markup`<code>${JSON.stringify(value)}</code>`));
  const kinds = kindsOf(schema);
  if (kinds.length > 1) return join(kinds.map(toType));
  const types: readonly string[] = [schema.type ?? []].flat();
  if (types.length === 0) return markup`anything`;
  return join(types.map((type) => (type === "array" ? toListType(schema) : markup`${words[type] ?? type}`)));
}

const words: Readonly<Record<string, string>> = { string: "text", integer: "whole number", boolean: "true, false" };

function toListType({ items }: JsonSchema): Html {
  return typeof items === "object" && Object.keys(items).length > 0
    ? markup`list of ${toType(items as JsonSchema)}`
    : markup`list`;
}

/** One or another. */
export function join(types: readonly Html[]): Html {
  const different = [...new Map(types.map((type) => [type.markup, type])).values()];
  return markup`${different.map((type, index) => (index === 0 ? type : markup` or ${type}`))}`;
}

export function toSchemaLink(name: string): Html {
  return markup`<a href="#${name}">${name}</a>`;
}

/** Its bounds in words; empty if it has none. */
export function toLimits(schema: JsonSchema): string {
  return [...new Set(kindsOf(schema).flatMap((kind) => limitsOf(kind)))].join("; ");
}

function limitsOf({
  minimum,
  maximum,
  minLength,
  maxLength,
  minItems,
  maxItems,
  format,
  ...more
}: JsonSchema): string[] {
  return [
    toRange(minimum, maximum, ""),
    toRange(minLength, maxLength, " characters"),
    toRange(minItems, maxItems, " items"),
    format === undefined ? "" : `format ${format}`,
    more.default === undefined ? "" : `default ${JSON.stringify(more.default)}`,
  ].filter((limit) => limit !== "");
}

function toRange(least: number | undefined, most: number | undefined, unit: string): string {
  if (most === Number.MAX_SAFE_INTEGER) return toRange(least, undefined, unit); // what any number is held to
  if (least !== undefined && most !== undefined)
    return least === most ? `${least}${unit}` : `${least} to ${most}${unit}`;
  if (least !== undefined) return `from ${least}${unit}`;
  return most === undefined ? "" : `up to ${most}${unit}`;
}
