/** OpenAI's error shape: `{"error":{"message","type","param","code"}}`. */
import type { RuntimeError } from "@dyn/runtime";
import { toPublicDetails, toPublicMessage } from "@dyn/runtime/internal";

export { keepAlive } from "../http/sse.ts";

export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
    /** What an engine has said besides. */
    readonly details?: Readonly<Record<string, unknown>>;
  };
}

/** What a client may read. */
export function toErrorBody(error: RuntimeError): ErrorBody {
  const [type, code] = error.traits.openai;
  const { param = null, apiCode = code } = error;
  const details = toPublicDetails(error);
  return { error: { message: toPublicMessage(error), type, param, code: apiCode, ...(details && { details }) } };
}

/** The last event of a stream that has begun and failed; no `[DONE]` follows. */
export function toErrorEvent(error: RuntimeError): string {
  return `data: ${JSON.stringify(toErrorBody(error))}\n\n`;
}
