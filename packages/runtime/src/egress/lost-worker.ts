/** How the loss of a worker that ran a request is told. */
import { RuntimeError } from "../errors.ts";

/** A `disconnected` of a request that a worker had when it was lost, and may have been lost because of it. */
export class LostWorkerError extends RuntimeError {
  constructor(message: string, options?: ErrorOptions) {
    super("disconnected", message, options);
  }
}
