/** Fields of a request body: checked with zod, and one clear error that names the first that is wrong. */
import { RuntimeError } from "@dyn/runtime";
import { excerpt } from "@dyn/runtime/internal";
import * as z from "zod";

/** What is wrong with a field, in the words OpenAI's errors have as their `code`. */
export type FieldReason =
  | "missing_required_parameter"
  | "invalid_type"
  | "invalid_value"
  | "unsupported_value"
  | "empty_array"
  | "string_below_min_length"
  | `${"array" | "string"}_above_max_length`
  | `${"integer" | "decimal"}_${"below_min" | "above_max"}_value`;

/** An `invalid_argument` that names the field. */
export class FieldError extends RuntimeError {
  readonly param: string;
  readonly reason: FieldReason;

  /** `problem` ends a sentence that begins with the name of the field: "must be …", "is …", or ": …". */
  constructor(param: string, problem: string, reason: FieldReason = "invalid_value") {
    super("invalid_argument", `${param}${problem.startsWith(":") ? "" : " "}${problem}`);
    this.param = param;
    this.reason = reason;
  }
}

/** For fields that are known but have no value that could be served. */
export const unsupported = { error: "is not supported" } as const;

const minInt64 = -(2n ** 63n);
const maxInt64 = 2n ** 63n - 1n;

/** A whole number of 64 bits. One that a number does not hold exactly is a bigint. */
export const int64: z.ZodType<number | bigint> = z
  .preprocess(toBigInt, z.bigint().min(minInt64).max(maxInt64))
  .transform(toExactNumber);

/** A limit on something that is counted, from 0. Beyond what can be counted it is no limit, but no error either. */
export const countLimit: z.ZodType<number> = z
  .preprocess(toBigInt, z.bigint().min(0n))
  .transform((limit) => Math.min(Number(limit), Number.MAX_SAFE_INTEGER));

function toBigInt(value: unknown): unknown {
  return typeof value === "number" && Number.isInteger(value) ? BigInt(value) : value;
}

function toExactNumber(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Items looked at before it is asked whether one was wrong. */
const sliceItems = 256;

interface ListOptions {
  /** Fewest and most items. Default: any number. */
  readonly min?: number;
  readonly max?: number;
  /** Tells good items without the schema, which takes a hundred times as long: for lists that may have millions. */
  readonly isItem?: (value: unknown) => boolean;
}

/** A list of items. Looks no further than the first wrong ones: to describe millions of them takes all memory there is. */
export function listOf<Schema extends z.ZodType>(
  item: Schema,
  options: ListOptions = {},
): z.ZodType<z.infer<Schema>[]> {
  const { min = 0, max = Number.POSITIVE_INFINITY, isItem } = options;
  const slice = z.array(item);
  const readItems = (items: readonly unknown[], context: z.RefinementCtx): z.infer<Schema>[] => {
    const taken: z.infer<Schema>[] = [];
    for (let at = 0; at < items.length; at += sliceItems) {
      const { data, error } = slice.safeParse(items.slice(at, at + sliceItems), words);
      const [issue] = error?.issues ?? [];
      if (issue) {
        const [index = 0, ...rest] = issue.path;
        return raise({ ...issue, path: [at + Number(index), ...rest] }, items, context);
      }
      taken.push(...(data ?? []));
    }
    return taken;
  };
  // No z.array of anything: it makes objects for each of its items.
  return z.unknown().transform((given, context) => {
    const issue = toListIssue(given, min, max);
    if (issue) context.issues.push(issue);
    if (issue || !Array.isArray(given)) return z.NEVER;
    return isItem && given.every(isItem) ? (given as z.infer<Schema>[]) : readItems(given, context);
  });
}

function toListIssue(input: unknown, min: number, max: number): z.core.$ZodRawIssue | undefined {
  if (!Array.isArray(input)) return { code: "invalid_type", expected: "array", input };
  const bounds = { origin: "array", inclusive: true, input } as const;
  if (input.length < min) return { code: "too_small", minimum: min, ...bounds };
  return input.length > max ? { code: "too_big", maximum: max, ...bounds } : undefined;
}

/** A list of anything. */
export const anyList: z.ZodType<unknown[]> = listOf(z.unknown(), { isItem: () => true });

/** A value of one of several kinds, read by the schema of its kind. A union would try one after the other, and describe what is wrong with each. */
export function chosenBy<Read>(choose: (given: unknown) => z.ZodType<Read>): z.ZodType<Read> {
  return z.unknown().transform((given, context) => {
    const { data, error } = choose(given).safeParse(given, words);
    const [issue] = error?.issues ?? [];
    return issue ? raise(issue, given, context) : (data as Read); // without an issue there is a value
  });
}

/** An object of one of several kinds, as its `type` says: read by the schema of its kind, or made of the type alone if that is none of them. */
export function kindOf<Read>(
  known: Readonly<Record<string, z.ZodType<Read>>>,
  other: (type: string) => Read,
): z.ZodType<Read> {
  const unknownKind = z.object({ type: z.string() }).transform(({ type }) => other(type));
  return chosenBy((given) => {
    const type = typeof given === "object" && given !== null && "type" in given ? given.type : undefined;
    return (typeof type === "string" && Object.hasOwn(known, type) && known[type]) || unknownKind;
  });
}

// An issue as it was raised, by a schema inside a transformation.
function raise(issue: z.core.$ZodIssue, input: unknown, { issues }: z.RefinementCtx): never {
  issues.push({ ...issue, input } as z.core.$ZodRawIssue);
  return z.NEVER;
}

function toFieldError(schema: z.ZodType, body: unknown, { issues }: z.ZodError): RuntimeError {
  const [issue] = issues;
  if (!issue || issue.path.length === 0)
    return new RuntimeError("invalid_argument", "the request body must be a JSON object");
  const path = issue.path.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
  const reason = toReason(schema, body, issue);
  const problem = reason === "missing_required_parameter" ? "is required" : issue.message;
  return new FieldError(path.replace(/^\./, ""), problem, reason);
}

const typeNames: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  int: "a whole number",
  bigint: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  null: "null",
};

// In place of zod's words, for every field whose schema has none of its own.
const words: { readonly error: (issue: z.core.$ZodRawIssue) => string } = {
  error(issue) {
    if (issue.code === "invalid_type")
      return isBeyond(issue.expected, issue.input)
        ? "is out of range"
        : `must be ${typeNames[issue.expected] ?? issue.expected}`;
    if (issue.code === "too_small") return toLimit(issue.origin, "least", issue.minimum);
    if (issue.code === "too_big") return toLimit(issue.origin, "most", issue.maximum) + toLength(issue.input);
    if (issue.code !== "invalid_value") return "is not valid";
    return `must be ${issue.values.length > 1 ? "one of " : ""}${issue.values.map((value) => JSON.stringify(value)).join(", ")}`;
  },
};

// A number, but none that a number can hold.
function isBeyond(expected: string, value: unknown): value is bigint {
  return typeof value === "bigint" && (expected === "number" || expected === "int");
}

function toLimit(origin: string, bound: "least" | "most", limit: number | bigint): string {
  if (origin !== "string" && origin !== "array") return `must be at ${bound} ${limit}`;
  if (bound === "least" && limit === 1) return "must not be empty";
  return `must have at ${bound} ${limit} ${origin === "string" ? "characters" : "items"}`;
}

// How far off a list or a text is; numbers are not quoted.
function toLength(input: unknown): string {
  return typeof input === "string" || Array.isArray(input) ? `, not ${input.length}` : "";
}

/** Holds a list to a limit that is a setting. @throws FieldError. */
export function checkLength(param: string, list: readonly unknown[], limit: number): void {
  if (list.length > limit)
    throw new FieldError(param, toLimit("array", "most", limit) + toLength(list), "array_above_max_length");
}

/** Limits of fields that are settings. */
export interface FieldLimits {
  readonly maxMessages: number;
  /** Of all prompts of a request. */
  readonly maxCompletions: number;
  /** Of all prompts that are repeated in an answer. */
  readonly maxEchoBytes: number;
}

function toReason(schema: z.ZodType, body: unknown, issue: z.core.$ZodIssue): FieldReason {
  if (issue.message === unsupported.error) return "unsupported_value";
  if (issue.code === "too_big") {
    if (issue.origin === "array") return "array_above_max_length";
    return issue.origin === "string"
      ? "string_above_max_length"
      : `${toNumberKind(schema, issue.path)}_above_max_value`;
  }
  if (issue.code === "too_small") {
    if (issue.origin === "array") return "empty_array"; // the only least length there is
    return issue.origin === "string"
      ? "string_below_min_length"
      : `${toNumberKind(schema, issue.path)}_below_min_value`;
  }
  const value = valueAt(body, issue.path);
  if (value === undefined) return "missing_required_parameter";
  if (issue.code === "invalid_type" && isBeyond(issue.expected, value))
    return value < 0n ? "integer_below_min_value" : "integer_above_max_value";
  return issue.code === "invalid_type" ? "invalid_type" : "invalid_value";
}

function valueAt(body: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined),
    body,
  );
}

// Numbers that need not be whole stand at the top of a body.
function toNumberKind(schema: z.ZodType, [name = ""]: readonly PropertyKey[]): "integer" | "decimal" {
  let field: unknown = schema instanceof z.ZodObject ? (schema.shape as Record<PropertyKey, unknown>)[name] : undefined;
  while (field instanceof z.ZodOptional || field instanceof z.ZodNullable) field = field.unwrap();
  return field instanceof z.ZodNumber && !(field instanceof z.ZodNumberFormat) ? "decimal" : "integer";
}

/** @throws FieldError naming the first field that is wrong, a plain `invalid_argument` for what is no object. */
export function parseFields<Schema extends z.ZodType>(schema: Schema, body: unknown): z.infer<Schema> {
  const result = schema.safeParse(body, words);
  if (!result.success) throw toFieldError(schema, body, result.error);
  return result.data;
}

const maxModelChars = 256;

/** A model's name. */
export const modelName: z.ZodString = z.string().min(1).max(maxModelChars);

/** Looks at the length of the model's name alone, before all other fields. @throws FieldError. */
export function checkModelLength(body: unknown): void {
  const model = modelOf(body);
  if (model === undefined || model.length <= maxModelChars) return;
  throw new FieldError("model", toLimit("string", "most", maxModelChars) + toLength(model), "string_above_max_length");
}

function modelOf(body: unknown): string | undefined {
  const model: unknown = typeof body === "object" && body !== null && "model" in body ? body.model : undefined;
  return typeof model === "string" ? model : undefined;
}

/** The model a body names, for the log, even if the rest of it is wrong: the beginning of a long name. */
export function peekModel(body: unknown): string | undefined {
  const model = modelOf(body);
  return model === undefined ? undefined : excerpt(model, maxModelChars);
}

/** Whether a body asks for a stream, for the log, even if the rest of it is wrong. */
export function peekStream(body: unknown): boolean {
  return typeof body === "object" && body !== null && "stream" in body && body.stream === true;
}
