/** Places of an endpoint: how many requests, or completions of requests, run at a time, and how many requests may wait for their first place. */
import { countOf } from "../counts.ts";
import type { Places } from "../handler.ts";
import { RuntimeError } from "../errors.ts";
import type { EndpointMetrics } from "../metrics/endpoint-metrics.ts";

type Metrics = Pick<EndpointMetrics, "places" | "placesTaken" | "queueDepth" | "queueCapacity">;

/** Of one endpoint. */
export interface AdmissionOptions {
  /** Places; the lowest holds, 0 = as many as are wanted. */
  readonly limits: readonly number[];
  /** Requests that may wait beside those that have a place. */
  readonly queueLimit: number;
  readonly metrics: Metrics;
}

/** A request's place, to run or to wait. Disposing it gives it to whoever is next. */
export interface Place extends Disposable, Places {
  /** Resolves when it is this request's turn; undefined if it is now. Rejects with the signal's reason; the place is given back then. */
  turn(signal: AbortSignal): Promise<void> | undefined;
}

/** Asked once for each request. */
export interface Admission {
  /** Requests that wait for their first place. */
  readonly waiting: number;
  /** Take a place. @returns undefined if they are not limited. @throws RuntimeError `overloaded` if none is left, to run or to wait. */
  enter(): Place | undefined;
}

/** Create an empty one. */
export function createAdmission({ limits, queueLimit, metrics }: AdmissionOptions): Admission {
  const limit = Math.min(...limits.filter((each) => each > 0));
  if (limit === Infinity) return { waiting: 0, enter: () => undefined };
  metrics.places.set(limit);
  metrics.queueCapacity.set(queueLimit);
  const places = new PlaceQueue(limit, metrics);
  return {
    get waiting() {
      return places.newcomers;
    },
    enter() {
      if (places.isFull && places.newcomers >= queueLimit) {
        const taken = countOf(limit, "place is", "places are");
        const waiting = countOf(places.newcomers, "request is", "requests are");
        throw new RuntimeError("overloaded", `${taken} taken and ${waiting} waiting, the limits of this worker`);
      }
      return new RequestPlaces(places);
    },
  };
}

/** The places, and who waits for one. Requests take turns, each with one place at a time: what wants many must not hold up what wants one. */
class PlaceQueue {
  /** Requests that wait for their first place. */
  newcomers = 0;
  #limit: number;
  #metrics: Metrics;
  #taken = 0;
  #queue = new Map<RequestPlaces, Set<QueuedPlace>>();

  constructor(limit: number, metrics: Metrics) {
    this.#limit = limit;
    this.#metrics = metrics;
  }

  get isFull(): boolean {
    return this.#taken >= this.#limit;
  }

  /** A place for `request`, called at once if one is free. */
  ask(request: RequestPlaces, isFirst: boolean): QueuedPlace {
    const place = new QueuedPlace(isFirst, (hadTurn) => (hadTurn ? this.#passOn() : this.#forget(request, place)));
    if (this.isFull) {
      const waiting = this.#queue.get(request);
      if (waiting) waiting.add(place);
      else this.#queue.set(request, new Set([place]));
      if (isFirst) this.newcomers += 1;
      this.#metrics.queueDepth.inc();
    } else {
      this.#setTaken(this.#taken + 1);
      place.call();
    }
    return place;
  }

  // The place changes hands without becoming free.
  #passOn(): void {
    for (const [request, waiting] of this.#queue) {
      for (const place of waiting) {
        this.#forget(request, place);
        if (this.#queue.delete(request)) this.#queue.set(request, waiting); // what else it wants comes after the others
        return place.call();
      }
    }
    this.#setTaken(this.#taken - 1);
  }

  #forget(request: RequestPlaces, place: QueuedPlace): void {
    const waiting = this.#queue.get(request);
    if (!waiting?.delete(place)) return;
    if (waiting.size === 0) this.#queue.delete(request);
    if (place.isFirst) this.newcomers -= 1;
    this.#metrics.queueDepth.dec();
  }

  #setTaken(taken: number): void {
    this.#taken = taken;
    this.#metrics.placesTaken.set(taken);
  }
}

class RequestPlaces implements Place {
  #places: PlaceQueue;
  #own: QueuedPlace;
  #isOwnTaken = false;
  /** One listener of each signal for all that wait: to add one, a signal looks at those it has, which might be a thousand. */
  #watched = new Map<AbortSignal, Set<QueuedPlace>>();

  constructor(places: PlaceQueue) {
    this.#places = places;
    this.#own = places.ask(this, true);
  }

  turn(signal: AbortSignal): Promise<void> | undefined {
    return this.#own.isWaiting || signal.aborted ? this.#turn(this.#own, signal) : undefined;
  }

  async take(signal: AbortSignal): Promise<Disposable> {
    const place = this.#isOwnTaken ? this.#places.ask(this, false) : this.#own;
    this.#isOwnTaken = true;
    await this.#turn(place, signal);
    return place;
  }

  async #turn(place: QueuedPlace, signal: AbortSignal): Promise<void> {
    if (place.isWaiting && !signal.aborted) {
      const waiting = this.#watched.get(signal) ?? this.#watch(signal);
      waiting.add(place);
      await place.over();
      waiting.delete(place);
    }
    if (!signal.aborted) return;
    place[Symbol.dispose]();
    throw signal.reason;
  }

  #watch(signal: AbortSignal): Set<QueuedPlace> {
    const waiting = new Set<QueuedPlace>();
    this.#watched.set(signal, waiting);
    signal.addEventListener("abort", this);
    return waiting;
  }

  /** For the signals. At once: whoever comes in this very tick may have the places. */
  handleEvent(): void {
    for (const [{ aborted }, waiting] of this.#watched)
      if (aborted) for (const place of waiting) place[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    for (const signal of this.#watched.keys()) signal.removeEventListener("abort", this);
    this.#own[Symbol.dispose]();
  }
}

// A class: it has an identity in the queue.
class QueuedPlace implements Disposable {
  /** The first of its request. */
  readonly isFirst: boolean;
  #onLeave: (hadTurn: boolean) => void;
  #state: "waiting" | "called" | "left" = "waiting";
  #wake: (() => void) | undefined;

  constructor(isFirst: boolean, onLeave: (hadTurn: boolean) => void) {
    this.isFirst = isFirst;
    this.#onLeave = onLeave;
  }

  get isWaiting(): boolean {
    return this.#state === "waiting";
  }

  call(): void {
    this.#state = "called";
    this.#wake?.();
  }

  /** Resolves when it waits no longer, having been called or left. */
  over(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  [Symbol.dispose](): void {
    if (this.#state === "left") return;
    const hadTurn = this.#state === "called";
    this.#state = "left";
    this.#onLeave(hadTurn);
    this.#wake?.();
  }
}
