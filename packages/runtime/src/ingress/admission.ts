/** How many requests of an endpoint run at a time, and how many more may wait for their turn. */
import { countOf } from "../counts.ts";
import { RuntimeError } from "../errors.ts";
import type { EndpointMetrics } from "../metrics.ts";

export interface AdmissionOptions {
  /** Requests that run at a time; the lowest holds, 0 = as many as come. */
  readonly limits: readonly number[];
  /** Requests that may wait beside them. */
  readonly queueLimit: number;
  readonly metrics: Pick<EndpointMetrics, "queueDepth" | "queueCapacity">;
}

/** A request's place, to run or to wait. Disposing it gives it to the next. */
export interface Place extends Disposable {
  /** Resolves when it is this request's turn, in the order of arrival. Rejects with the signal's reason; the place is given back then. */
  turn(signal: AbortSignal): Promise<void>;
}

export interface Admission {
  /** Take a place. @returns undefined if requests are not limited. @throws RuntimeError `overloaded` if none is left, to run or to wait. */
  enter(): Place | undefined;
}

/** Create an empty one. */
export function createAdmission({ limits, queueLimit, metrics }: AdmissionOptions): Admission {
  const limit = Math.min(...limits.filter((each) => each > 0));
  if (limit === Infinity) return { enter: () => undefined };
  const depth = metrics.queueDepth;
  metrics.queueCapacity.set(queueLimit);
  const queue = new Set<QueuedPlace>();
  let running = 0;
  const onLeave = (place: QueuedPlace, hadTurn: boolean): void => {
    if (queue.delete(place)) depth.dec();
    if (!hadTurn) return;
    const [next] = queue;
    if (!next) {
      running -= 1;
      return;
    }
    queue.delete(next); // the place changes hands without becoming free
    depth.dec();
    next.call();
  };
  return {
    enter() {
      if (running >= limit && queue.size >= queueLimit) {
        throw new RuntimeError(
          "overloaded",
          `${countOf(running, "request is", "requests are")} running and ${queue.size} waiting, the limits of this worker`,
        );
      }
      const place = new QueuedPlace(onLeave);
      if (running < limit) {
        running += 1;
        place.call();
      } else {
        queue.add(place);
        depth.inc();
      }
      return place;
    },
  };
}

// A class: it has an identity in the queue.
class QueuedPlace implements Place {
  #onLeave: (place: QueuedPlace, hadTurn: boolean) => void;
  #state: "waiting" | "called" | "left" = "waiting";
  #wake: (() => void) | undefined;

  constructor(onLeave: (place: QueuedPlace, hadTurn: boolean) => void) {
    this.#onLeave = onLeave;
  }

  call(): void {
    this.#state = "called";
    this.#wake?.();
  }

  async turn(signal: AbortSignal): Promise<void> {
    if (this.#state === "waiting" && !signal.aborted) await this.#wait(signal);
    if (!signal.aborted) return;
    this[Symbol.dispose]();
    throw signal.reason;
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const abort = (): void => {
      this[Symbol.dispose](); // at once: whoever comes in this very tick may have the place
      resolve();
    };
    this.#wake = resolve;
    signal.addEventListener("abort", abort, { once: true });
    await promise;
    signal.removeEventListener("abort", abort);
  }

  [Symbol.dispose](): void {
    if (this.#state === "left") return;
    const hadTurn = this.#state === "called";
    this.#state = "left";
    this.#onLeave(this, hadTurn);
  }
}
