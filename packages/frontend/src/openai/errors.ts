/** OpenAI's error shape: `{"error":{"message","type","param","code"}}`. */
import type { RuntimeError } from "@dyn/runtime";

export interface ErrorBody {
  readonly error: { readonly message: string; readonly type: string; readonly param: string | null; readonly code: string | null };
}

/** What a client may read: our own faults keep their details in the log. */
export function toErrorBody(error: RuntimeError): ErrorBody {
  const { openai } = error.traits;
  const param = "param" in error && typeof error.param === "string" ? error.param : null;
  const message = error.code === "internal" || error.code === "protocol" ? "Internal server error" : error.message;
  return { error: { message, type: openai.type, param, code: openai.code } };
}
