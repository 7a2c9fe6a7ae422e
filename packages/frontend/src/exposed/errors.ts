/** The error shape of endpoints of one's own: `{"error":{"code","message",…},"request_id"}`. */
import type { ErrorCode, RuntimeError } from "@dyn/runtime";
import { toPublicDetails, toPublicMessage } from "@dyn/runtime/internal";

export interface ErrorBody {
  readonly error: {
    /** Of the table of errors: it decides the status. */
    readonly code: ErrorCode;
    readonly message: string;
    /** What of the request is wrong, as the handler or its contract names it. */
    readonly param?: string;
    /** The handler's own word for it. */
    readonly reason?: string;
    readonly details?: Readonly<Record<string, unknown>>;
  };
  readonly request_id: string;
}

/** What a client may read. */
export function toErrorBody(error: RuntimeError, requestId: string): ErrorBody {
  const { code, param, apiCode: reason } = error;
  const details = toPublicDetails(error);
  return {
    error: {
      code,
      message: toPublicMessage(error),
      ...(param !== undefined && { param }),
      ...(typeof reason === "string" && { reason }),
      ...(details && { details }),
    },
    request_id: requestId,
  };
}

/** The last event of a stream that has begun and failed. */
export function toErrorEvent(error: RuntimeError, requestId: string): string {
  return `event: error\ndata: ${JSON.stringify(toErrorBody(error, requestId))}\n\n`;
}
