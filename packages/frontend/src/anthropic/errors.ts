/** Anthropic's error shape: `{"type":"error","error":{"type","message"},"request_id"}`. */
import { toPublicMessage, type RuntimeError } from "@dyn/runtime";

export interface ErrorBody {
  readonly type: "error";
  readonly error: { readonly type: string; readonly message: string };
  readonly request_id: string;
}

/** What a client may read. */
export function toErrorBody(error: RuntimeError, requestId: string): ErrorBody {
  return { type: "error", error: { type: error.traits.anthropic, message: toPublicMessage(error) }, request_id: requestId };
}

/** The last event of a stream that has begun and failed. */
export function toErrorEvent(error: RuntimeError, requestId: string): string {
  return `event: error\ndata: ${JSON.stringify(toErrorBody(error, requestId))}\n\n`;
}
