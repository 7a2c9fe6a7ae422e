/** What foreign code has thrown, as a RuntimeError. Nothing here throws itself, whatever it is given. */
import { isErrorCode, type ErrorCode } from "./error-table.ts";
import { describeBadCode, RuntimeError } from "./errors.ts";

/** Why a signal was aborted: time ran out, or somebody wished it, whatever they gave as their reason. Never throws itself. */
export function toAbortError(reason: unknown): RuntimeError {
  return attempt("cancelled", () => {
    if (reason instanceof RuntimeError || (reason instanceof Error && reason.name === "TimeoutError"))
      return toRuntimeError(reason);
    return new RuntimeError("cancelled", reason instanceof Error ? reason.message : String(reason), { cause: reason });
  });
}

/** The one place where something thrown by foreign code becomes a RuntimeError: aborts keep their meaning, the rest is `internal`.
 *  Never throws itself, whatever it is given: anything may be thrown, and its getters and traps are foreign code too. */
export function toRuntimeError(thrown: unknown): RuntimeError {
  return attempt("internal", () => convert(thrown));
}

/** The same for what a handler has thrown: never the thrown object itself, whose getters may throw whenever they are read. */
export function toHandlerError(thrown: unknown): RuntimeError {
  const error = toRuntimeError(thrown);
  if (error !== thrown) return error;
  return attempt("internal", () => {
    const { code, message, publicMessage, details, apiCode, param, retryAfterMs, cause } = error;
    return new RuntimeError(code, message, {
      publicMessage: typeof publicMessage === "string" ? publicMessage : undefined,
      details,
      apiCode,
      param,
      retryAfterMs,
      retryable: error.isRetryableSaid ? error.retryable : undefined, // of one that it has been given by a worker, its code decides
      ...(cause !== undefined && { cause: error }),
    });
  });
}

function attempt(code: ErrorCode, read: () => RuntimeError): RuntimeError {
  try {
    return read();
  } catch (cause) {
    return new RuntimeError(code, "something was thrown that cannot be read", { cause });
  }
}

/** What `AbortSignal.timeout` says, which sounds as if nobody had set a time. */
const nodeTimeout = "The operation was aborted due to timeout";

function convert(thrown: unknown): RuntimeError {
  if (!(thrown instanceof Error))
    return new RuntimeError("internal", "a value that is no Error was thrown", { cause: thrown });
  const { name, message } = thrown;
  if (thrown instanceof RuntimeError) {
    const code: unknown = thrown.code; // it may have been changed since, by plain JavaScript
    if (isErrorCode(code) && typeof message === "string") return thrown;
    return new RuntimeError("internal", describeBadCode(code, message), { cause: thrown });
  }
  if (name === "TimeoutError") {
    const publicMessage = "a time limit was reached";
    const text = message === nodeTimeout ? publicMessage : message;
    return new RuntimeError("deadline_exceeded", text, { cause: thrown, publicMessage });
  }
  if (name === "AbortError") return new RuntimeError("cancelled", message, { cause: thrown });
  return new RuntimeError("internal", message, { cause: thrown });
}
