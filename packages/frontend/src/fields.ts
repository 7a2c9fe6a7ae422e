/** Fields of a request body: checked with zod, and one clear error that names the first that is wrong. */
import { RuntimeError } from "@dyn/runtime";
import type * as z from "zod";

/** An `invalid_argument` that names the field. */
export class FieldError extends RuntimeError {
  readonly param: string;

  constructor(param: string, problem: string) {
    super("invalid_argument", `${param}: ${problem}`);
    this.param = param;
  }
}

function toFieldError({ issues }: z.ZodError): FieldError {
  const [issue] = issues;
  const path = (issue?.path ?? []).map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
  return new FieldError(path === "" ? "body" : path.replace(/^\./, ""), issue?.message ?? "invalid");
}

/** @throws FieldError naming the first field that is wrong. */
export function parseFields<Schema extends z.ZodType>(schema: Schema, body: unknown): z.infer<Schema> {
  const result = schema.safeParse(body);
  if (!result.success) throw toFieldError(result.error);
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
