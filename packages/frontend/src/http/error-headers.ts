/** Headers of the answer that tells an error. */
import type { RuntimeError } from "@dyn/runtime";
import { MediaTypeError } from "@dyn/runtime/internal";

/** The official clients try every 5xx again: they say when, or that it is of no use. */
export function toErrorHeaders(error: RuntimeError): Readonly<Record<string, string>> {
  const { code, traits } = error;
  if (error instanceof MediaTypeError) return error.headers;
  if (traits.retryable) return { "retry-after": "1" };
  return code === "unimplemented" ? { "x-should-retry": "false" } : {};
}
