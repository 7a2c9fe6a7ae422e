/** What a worker says of another try, in the ERROR with which a request ends: nobody else knows whether a handler was called. */
import type { RuntimeError } from "../errors.ts";
import type { ErrorMessage } from "../wire/endings.ts";

/** What the worker knows of the request. */
export interface RetryFacts {
  /** Its handler was called. */
  readonly isBegun: boolean;
  /** Its endpoint may be asked twice. */
  readonly isIdempotent: boolean;
}

/** Whoever made the error has the last word. Without it the code decides, and a handler that has begun is called again only where its endpoint allows that. */
export function toRetryWord(
  { retryable, isRetryableSaid }: RuntimeError,
  { isBegun, isIdempotent }: RetryFacts,
): Pick<ErrorMessage, "retryable" | "ifIdempotent"> {
  const isHarmless = isRetryableSaid || !isBegun || isIdempotent;
  return retryable && !isHarmless ? { retryable: false, ifIdempotent: true } : { retryable };
}
