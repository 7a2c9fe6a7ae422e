/** The workers that were lost while they ran a request. One says nothing against it, because all that a worker runs falls with it; a second one in a row does. */
import { RuntimeError } from "../errors.ts";
import type { Attempt } from "./attempt.ts";
import { LostWorkerError } from "./lost-worker.ts";

/** Workers that may be lost with a request, one after the other and without an item between them. */
const maxLost = 2;

/** Of one request. */
export class Losses {
  #workers: string[] = [];
  #inRow = 0;

  /** Decimal u64 of the workers that were lost. */
  get workers(): readonly string[] {
    return this.#workers;
  }

  /** No further worker may be risked. */
  get isPoison(): boolean {
    return this.#inRow >= maxLost;
  }

  /** An attempt has failed. Items speak for the request: a worker has got further with it than the one before. */
  add({ instance, delivered }: Attempt, failure: RuntimeError): void {
    if (delivered) this.#inRow = 0;
    if (!(failure instanceof LostWorkerError)) return;
    this.#inRow += 1;
    this.#workers.push(instance.id);
  }

  /** What a request that ends with `failure` fails with: one that has lost several workers must not look as if another try were worth it. */
  toEnd(failure: RuntimeError, requestId: string): RuntimeError {
    const { length } = this.#workers;
    if (!failure.retryable || length < maxLost) return failure; // also where nobody was left to try
    return new RuntimeError(
      "poisoned",
      `request ${requestId} is refused: ${length} workers were lost while they ran it`,
      { cause: failure },
    );
  }
}
