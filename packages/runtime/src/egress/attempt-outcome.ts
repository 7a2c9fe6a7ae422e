/** How an attempt ended, as the log says it and as the health of its instance takes it. */
import type { ErrorCode } from "../error-table.ts";
import { RuntimeError, StalledError } from "../errors.ts";
import { toAbortError, toRuntimeError } from "../thrown.ts";
import type { Verdict } from "./health.ts";

/** Word of the log for how an attempt ended. */
export type AttemptOutcome =
  | "success"
  | "cancelled"
  | "worker_disconnected"
  | "connection_failed"
  | "timeout"
  | "rejected"
  | "unavailable"
  | "error";

const outcomes: Partial<Record<ErrorCode, AttemptOutcome>> = {
  cancelled: "cancelled",
  disconnected: "worker_disconnected",
  cannot_connect: "connection_failed",
  deadline_exceeded: "timeout",
  overloaded: "rejected",
  unavailable: "unavailable",
};

// Failures that speak against the instance and not against the request or the caller.
const faults: ReadonlySet<ErrorCode> = new Set(["internal", "protocol"]);

/** The word of the log for a failure; `undefined` = it went well. */
export function toAttemptOutcome(failure: RuntimeError | undefined): AttemptOutcome {
  return failure ? (outcomes[failure.code] ?? "error") : "success";
}

/** The instance did not answer: nothing is known of it but that. */
export function isUnreachable({ code }: RuntimeError): boolean {
  return code === "cannot_connect" || code === "disconnected";
}

/** What an attempt that ended so says of its instance. */
export function toVerdict(failure: RuntimeError | undefined): Verdict {
  if (!failure) return "well";
  if (isUnreachable(failure)) return "unreachable";
  if (faults.has(failure.code) || failure instanceof StalledError) return "failed";
  return failure.code === "cancelled" || failure.code === "deadline_exceeded" ? "unknown" : "well";
}

/** The line about a circuit that opens. */
export function toOpenedMessage(failure: RuntimeError | undefined): string {
  return failure && isUnreachable(failure)
    ? "instance cannot be reached, its circuit is open"
    : "instance keeps failing, its circuit is open";
}

/** What an attempt or its dialling threw, as a RuntimeError; an abort is what its signal says. */
export function toAttemptError(thrown: unknown, signal: AbortSignal | undefined): RuntimeError {
  return signal?.aborted ? toAbortError(signal.reason) : toRuntimeError(thrown);
}
