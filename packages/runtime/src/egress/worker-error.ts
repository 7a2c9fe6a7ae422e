/** What a worker has answered in place of an item. */
import type { ErrorCode } from "../error-table.ts";
import { PeerError, type RuntimeErrorOptions } from "../errors.ts";

/** What is said of another try. */
interface RetryWord {
  readonly retryable: boolean;
  /** Another instance may be tried by whoever knows that the request may run twice. */
  readonly ifIdempotent?: boolean;
}

/** Its `retryable` is the last word: the worker knows whether a handler was called, and what that handler and its endpoint say.
 *  A handler that throws it on has said nothing itself. */
export class WorkerError extends PeerError {
  override readonly retryable: boolean;
  readonly ifIdempotent: boolean;

  constructor(
    code: ErrorCode,
    message: string,
    { retryable, ifIdempotent = false, ...options }: Omit<RuntimeErrorOptions, "retryable"> & RetryWord,
  ) {
    super(code, message, options);
    this.retryable = retryable;
    this.ifIdempotent = ifIdempotent;
  }
}
