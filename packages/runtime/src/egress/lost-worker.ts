/** How the loss of a worker that ran a request is told. */
import { PeerError, RuntimeError } from "../errors.ts";

/** A `disconnected` of a request that a worker had when it was lost, and may have been lost because of it. */
export class LostWorkerError extends PeerError {
  constructor(message: string, options?: ErrorOptions) {
    super("disconnected", message, options);
  }
}

/** What is known of a connection that is over. */
export interface EndedConnection {
  readonly remote: string;
  /** This process has ended it. */
  readonly isClosedHere: boolean;
  /** The worker has said before that it leaves. */
  readonly isGoingAway: boolean;
}

/** What the streams of a connection fail with when it is over. `error`: the worker may never have had the request.
 *  `lost`: it had it. Nothing that runs there has taken a worker that leaves, that has too many connections, or that this process has left. */
export function toLosses(
  cause: RuntimeError | undefined,
  { remote, isClosedHere, isGoingAway }: EndedConnection,
): { readonly error: RuntimeError; readonly lost: RuntimeError } {
  if (isClosedHere) {
    const error = new RuntimeError("unavailable", "this runtime is closed");
    return { error, lost: error };
  }
  const message = cause?.message ?? `${remote} closed the connection`;
  const error = new PeerError("disconnected", message, { cause });
  const isNobodysFault = isGoingAway || cause?.code === "overloaded";
  return { error, lost: isNobodysFault ? error : new LostWorkerError(message, { cause }) };
}
