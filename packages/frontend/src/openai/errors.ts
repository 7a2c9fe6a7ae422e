/** OpenAI's error shape: `{"error":{"message","type","param","code"}}`. */
import type { ErrorCode, RuntimeError } from "@dyn/runtime";

export interface ErrorBody {
  readonly error: { readonly message: string; readonly type: string; readonly param: string | null; readonly code: string | null };
}

// Details of these are for the log: they name workers' addresses or speak of faults of ours.
const publicMessages: Partial<Record<ErrorCode, string>> = {
  internal: "Internal server error",
  protocol: "Internal server error",
  cannot_connect: "the worker could not be reached",
  disconnected: "the connection to the worker was lost",
};

/** What a client may read. */
export function toErrorBody(error: RuntimeError): ErrorBody {
  const { openai } = error.traits;
  const param = "param" in error && typeof error.param === "string" ? error.param : null;
  const message = publicMessages[error.code] ?? error.message;
  return { error: { message, type: openai.type, param, code: openai.code } };
}
