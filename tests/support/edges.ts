/** Values at the edges of a JSON schema: one at each limit that it declares, and one beyond. */
import type { JsonSchema } from "../../packages/frontend/src/inference/described.ts";

/** Beyond any type that a field may have. */
const strangers: readonly unknown[] = [null, true, 7, 1.5, "x", "", [], [7], {}];

/** The plainest value that it takes. */
export function plainest(schema: JsonSchema): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  const type = [schema.type].flat()[0];
  if (type === undefined) return schema.anyOf?.[0] ? plainest(schema.anyOf[0]) : "anything";
  if (type === "integer" || type === "number") return schema.minimum ?? 0;
  if (type === "string") return "x".repeat(schema.minLength ?? 1);
  if (type === "array") return Array.from({ length: schema.minItems ?? 0 }, () => plainest(schema.items as JsonSchema));
  if (type === "object") return plainestObject(schema);
  return type === "null" ? null : true;
}

// With what a rule wants.
function plainestObject({ properties = {}, required = [], then }: JsonSchema): unknown {
  const needed = new Set([...required, ...((then as JsonSchema | undefined)?.required ?? [])]);
  const fields = Object.entries(properties) as [string, JsonSchema][];
  return Object.fromEntries(fields.flatMap(([name, each]) => (needed.has(name) ? [[name, plainest(each)]] : [])));
}

/** Values of which some are taken and some are not: who judges by the schema knows which. */
export function edgesOf(schema: JsonSchema): readonly unknown[] {
  return [...strangers, ...limitsOf(schema)];
}

function limitsOf(schema: JsonSchema): readonly unknown[] {
  const types = [schema.type].flat();
  if (schema.anyOf && types[0] === undefined) return schema.anyOf.flatMap((option) => limitsOf(option));
  return [
    ...(schema.enum ?? []),
    ...(schema.const === undefined ? [] : [schema.const]),
    ...boundsOf(schema),
    ...(types.includes("array") ? listsOf(schema) : []),
    ...(types.includes("object") ? objectsOf(schema) : []),
  ];
}

function boundsOf({ minimum, maximum, minLength, maxLength, type }: JsonSchema): unknown[] {
  const step = [type].flat().includes("integer") ? 1 : 0.001;
  const lengths = [...around(minLength, 1), ...around(maxLength, 1)].filter((length) => length >= 0);
  const texts = lengths.flatMap((length) => ["x".repeat(length), "😀".repeat(length)]);
  return [...around(minimum, step), ...around(maximum, step), ...texts];
}

function around(limit: number | undefined, step: number): number[] {
  return limit === undefined ? [] : [limit - step, limit, limit + step];
}

function listsOf({ items, minItems, maxItems }: JsonSchema): unknown[] {
  const item = items as JsonSchema;
  const one = plainest(item);
  const lengths = [...around(minItems, 1), ...around(maxItems, 1)].filter((length) => length >= 0);
  return [
    ...lengths.map((length) => Array.from({ length }, () => one)),
    ...[null, 7, ...limitsOf(item)].map((edge) => [edge]),
    [one, null],
  ];
}

function objectsOf(schema: JsonSchema): unknown[] {
  const plain = plainest({ ...schema, type: "object" }) as Record<string, unknown>;
  const fields = Object.entries(schema.properties ?? {}) as [string, JsonSchema][];
  return [
    plain,
    { ...plain, something_else: 7 },
    ...fields.flatMap(([name, each]) => {
      const { [name]: _, ...without } = plain;
      return [without, ...[null, 7, ...limitsOf(each)].map((edge) => ({ ...plain, [name]: edge }))];
    }),
  ];
}

// Rules between fields, or about who says what last: no schema has them, words do.
const rulesInWords = [
  /^best_of is only supported when equal to n$/,
  /^echo is not supported with token ids unless logprobs are asked for$/,
  /^top_logprobs is only allowed when logprobs is true$/,
  /^min_tokens must be at most \d+, the most tokens of a completion$/,
  /^n is too large: .* are more than 1024$/,
  /^prompt must have at most 1048576 token ids in all/,
  /: .* is not read by this model; in earlier turns it is skipped$/,
  /^input\[\d+\]\.call_id: no call .* stands before its output$/,
  /^input\[\d+\]\.id: no item .* is kept here$/,
  /^input must have a message; /,
  /^previous_response_id: no response /,
  /^tool_choice (?:asks for a call|names )/,
];

/** True for the message of a refusal for a rule that only the words of the document have. */
export function isRuleInWords(message: string): boolean {
  return rulesInWords.some((rule) => rule.test(message));
}
