/** Anthropic's error shape: `{"type":"error","error":{"type","message"},"request_id"}`. */
import type { RuntimeError } from "@dyn/runtime";
import { toPublicDetails, toPublicMessage } from "@dyn/runtime/internal";
import { FieldError } from "../inference/fields.ts";

export interface ErrorBody {
  readonly type: "error";
  readonly error: {
    readonly type: string;
    readonly message: string;
    /** What an engine has said besides, or which feature it is that is not served. */
    readonly details?: Readonly<Record<string, unknown>>;
  };
  readonly request_id: string;
}

/** What a client may read. */
export function toErrorBody(error: RuntimeError, requestId: string): ErrorBody {
  const details = error instanceof FieldError && error.param === "thread" ? noThreads : toPublicDetails(error);
  return {
    type: "error",
    error: { type: error.traits.anthropic, message: toPublicMessage(error), ...(details && { details }) },
    request_id: requestId,
  };
}

// Clients then send the whole conversation (@anthropic-ai/sdk, ThreadUnsupportedRequestError).
const noThreads = { error_code: "thread_unsupported_request" } as const;

/** The last event of a stream that has begun and failed. */
export function toErrorEvent(error: RuntimeError, requestId: string): string {
  return `event: error\ndata: ${JSON.stringify(toErrorBody(error, requestId))}\n\n`;
}
