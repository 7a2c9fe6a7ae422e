/** Fields of a request body: checked with zod, and one clear error that names the first that is wrong. */
import { RuntimeError } from "@dyn/runtime";
import { countCharacters, excerpt, isModelName, maxModelNameLength, maxParamChars } from "@dyn/runtime/internal";
import * as z from "zod";
import { described, shaped } from "./described.ts";

/** What may be wrong with a field, in the words OpenAI's errors have as their `code`. */
export const fieldReasons = [
  "missing_required_parameter",
  "invalid_type",
  "invalid_value",
  "unsupported_value",
  "unknown_parameter",
  "empty_array",
  "array_above_max_length",
  "string_below_min_length",
  "string_above_max_length",
  "integer_below_min_value",
  "integer_above_max_value",
  "decimal_below_min_value",
  "decimal_above_max_value",
  "previous_response_not_found",
] as const;

export type FieldReason = (typeof fieldReasons)[number];

/** An `invalid_argument` that names the field. */
export class FieldError extends RuntimeError {
  /** `problem` ends a sentence that begins with the name of the field: "must be …", "is …", or ": …". */
  constructor(param: string, problem: string, reason: FieldReason = "invalid_value") {
    const message = `${param}${problem.startsWith(":") ? "" : " "}${problem}`;
    super("invalid_argument", message, { param: excerpt(param, maxParamChars), apiCode: reason });
  }
}

/** For fields that are known but have no value that could be served. */
export const unsupported = { error: "is not supported" } as const;

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

/** In place of zod's words, for every field whose schema has none of its own. */
export const words: { readonly error: (issue: z.core.$ZodRawIssue) => string } = {
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
  if (typeof input === "string") return `, not ${countCharacters(input)}`;
  return Array.isArray(input) ? `, not ${input.length}` : "";
}

/** Holds a list to a limit that is a setting. @throws FieldError. */
export function checkLength(param: string, list: readonly unknown[], limit: number): void {
  if (list.length > limit)
    throw new FieldError(param, toLimit("array", "most", limit) + toLength(list), "array_above_max_length");
}

/** Limits of fields that the document of the API shows. */
export interface BodyLimits {
  readonly maxMessages: number;
  /** Of all prompts of a request. */
  readonly maxCompletions: number;
}

/** Limits of fields that are settings. */
export interface FieldLimits extends BodyLimits {
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

/** A model's name. Its length in characters, which zod counts in halves. */
export const modelName: z.ZodString = described(
  "The model that shall answer, as `GET /v1/models` lists it.",
  shaped(
    z
      .string()
      .min(1)
      .check(({ value: input, issues }) => {
        if (input === "" || isModelName(input)) return;
        issues.push({ code: "too_big", origin: "string", maximum: maxModelNameLength, inclusive: true, input });
      }),
    () => ({ maxLength: maxModelNameLength }),
  ),
);

/** Looks at the length of the model's name alone, before all other fields. @throws FieldError. */
export function checkModelLength(body: unknown): void {
  const model = modelOf(body);
  if (model === undefined || model === "" || isModelName(model)) return;
  const problem = toLimit("string", "most", maxModelNameLength) + toLength(model);
  throw new FieldError("model", problem, "string_above_max_length");
}

function modelOf(body: unknown): string | undefined {
  const model: unknown = typeof body === "object" && body !== null && "model" in body ? body.model : undefined;
  return typeof model === "string" ? model : undefined;
}

/** The model a body names, for the log, even if the rest of it is wrong: the beginning of a long name. */
export function peekModel(body: unknown): string | undefined {
  const model = modelOf(body);
  return model === undefined ? undefined : excerpt(model, isModelName(model) ? undefined : maxModelNameLength);
}

/** Whether a body asks for a stream, for the log, even if the rest of it is wrong. */
export function peekStream(body: unknown): boolean {
  return typeof body === "object" && body !== null && "stream" in body && body.stream === true;
}
