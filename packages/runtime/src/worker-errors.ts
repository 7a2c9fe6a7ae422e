/** What a worker may say of a failure, whoever wrote its engine. */
import type { ErrorCode } from "./error-table.ts";
import { RuntimeError } from "./errors.ts";

/** Codes with which a worker may end a request. The others speak of the client, of what is served, or of the connection: only this side knows of those. */
export const workerCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "invalid_argument",
  "too_large",
  "internal",
  "protocol",
  "unimplemented",
  "rate_limited",
  "unavailable",
  "deadline_exceeded",
  "overloaded",
]);

/** The error itself if a worker may end a request with it; else `internal`, whose message names the code for the log. `who` begins its sentence. */
export function toWorkerError(error: RuntimeError, who: string): RuntimeError {
  if (workerCodes.has(error.code)) return error;
  return new RuntimeError("internal", `${who} failed with ${error.code}, which it may not say: ${error.message}`, {
    cause: error,
    retryable: error.isRetryableSaid ? error.retryable : undefined,
  });
}
