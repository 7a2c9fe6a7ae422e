/** OpenAI's error shape: `{"error":{"message","type","param","code"}}`. */
import type { RuntimeError } from "@dyn/runtime";
import { toPublicMessage } from "@dyn/runtime/internal";
import { FieldError } from "../inference/fields.ts";

export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

/** What a client may read. */
export function toErrorBody(error: RuntimeError): ErrorBody {
  const [type, code] = error.traits.openai;
  const [param, reason] = error instanceof FieldError ? [error.param, error.reason] : [null, code];
  return { error: { message: toPublicMessage(error), type, param, code: reason } };
}

/** A comment of the event stream, which readers skip; so no event, not even an empty one. */
export const keepAlive = ": keep-alive\n\n";

/** The last event of a stream that has begun and failed; no `[DONE]` follows. */
export function toErrorEvent(error: RuntimeError): string {
  return `data: ${JSON.stringify(toErrorBody(error))}\n\n`;
}
