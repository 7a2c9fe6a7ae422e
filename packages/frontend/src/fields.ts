/** Fields of a request body: checked with zod, and one clear error that names the first that is wrong. */
import { RuntimeError } from "@dyn/runtime";
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

  constructor(param: string, problem: string, reason: FieldReason = "invalid_value") {
    super("invalid_argument", `${param}: ${problem}`);
    this.param = param;
    this.reason = reason;
  }
}

/** For fields that are known but have no value that could be served. */
export const unsupported = { error: "not supported" } as const;

function toFieldError(schema: z.ZodType, body: unknown, { issues }: z.ZodError): FieldError {
  const [outer] = issues;
  if (!outer) return new FieldError("body", "invalid");
  const issue = toInnermost(outer);
  const path = issue.path.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
  const reason = toReason(schema, body, issue);
  const problem = reason === "missing_required_parameter" ? "required, but missing" : issue.message;
  return new FieldError(path === "" ? "body" : path.replace(/^\./, ""), problem, reason);
}

// Of the members of a union only those count that take the value's type; if they agree on what is wrong, that says most.
function toInnermost(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== "invalid_union") return issue;
  const fitting = issue.errors.flatMap(([first]) => (first && !(first.code === "invalid_type" && first.path.length === 0) ? [first] : []));
  const [first] = fitting;
  const agree = fitting.every(({ code, path }) => code === first?.code && path.join() === first.path.join());
  return first && agree ? toInnermost({ ...first, path: [...issue.path, ...first.path] }) : issue;
}

function toReason(schema: z.ZodType, body: unknown, issue: z.core.$ZodIssue): FieldReason {
  if (issue.message === unsupported.error) return "unsupported_value";
  if (issue.code === "too_big") {
    if (issue.origin === "array") return "array_above_max_length";
    return issue.origin === "string" ? "string_above_max_length" : `${toNumberKind(schema, issue.path)}_above_max_value`;
  }
  if (issue.code === "too_small") {
    if (issue.origin === "array") return "empty_array"; // the only least length there is
    return issue.origin === "string" ? "string_below_min_length" : `${toNumberKind(schema, issue.path)}_below_min_value`;
  }
  if (valueAt(body, issue.path) === undefined) return "missing_required_parameter";
  if (issue.code === "invalid_union") return issue.errors.length === 0 ? "invalid_value" : "invalid_type"; // without members: an unknown kind of object
  return issue.code === "invalid_type" ? "invalid_type" : "invalid_value";
}

function valueAt(body: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined), body);
}

// Numbers that need not be whole stand at the top of a body.
function toNumberKind(schema: z.ZodType, [name = ""]: readonly PropertyKey[]): "integer" | "decimal" {
  let field: unknown = schema instanceof z.ZodObject ? (schema.shape as Record<PropertyKey, unknown>)[name] : undefined;
  while (field instanceof z.ZodOptional || field instanceof z.ZodNullable) field = field.unwrap();
  return field instanceof z.ZodNumber && !(field instanceof z.ZodNumberFormat) ? "decimal" : "integer";
}

/** @throws FieldError naming the first field that is wrong. */
export function parseFields<Schema extends z.ZodType>(schema: Schema, body: unknown): z.infer<Schema> {
  const result = schema.safeParse(body);
  if (!result.success) throw toFieldError(schema, body, result.error);
  return result.data;
}

/** The model a body names, for the log, even if the rest of it is wrong. */
export function peekModel(body: unknown): string | undefined {
  const model: unknown = typeof body === "object" && body !== null && "model" in body ? body.model : undefined;
  return typeof model === "string" ? model : undefined;
}

/** Whether a body asks for a stream, for the log, even if the rest of it is wrong. */
export function peekStream(body: unknown): boolean {
  return typeof body === "object" && body !== null && "stream" in body && body.stream === true;
}
