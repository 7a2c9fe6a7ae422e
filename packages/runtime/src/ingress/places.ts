/** Places of one endpoint or of several that share them: how many requests, or completions of requests, run at a time, and who is next. */
import type { Places } from "../handler.ts";
import type { EndpointMetrics } from "../metrics/endpoint-metrics.ts";

/** What is counted of the places of an endpoint. */
export type PlaceMetrics = Pick<EndpointMetrics, "places" | "placesTaken" | "queueDepth" | "queueCapacity">;

/** An endpoint whose requests take places. */
export interface PlaceTaker {
  readonly metrics: PlaceMetrics;
  /** Its requests that wait for their first place. */
  newcomers: number;
}

/** A request's place, to run or to wait. Disposing it gives it to whoever is next. */
export interface Place extends Disposable, Places {
  /** How many places had to become free for it when it came: 0 = it had one at once. */
  readonly position: number;
  /** Resolves when it is this request's turn; undefined if it is now. Rejects with the signal's reason; the place is given back then. */
  turn(signal: AbortSignal): Promise<void> | undefined;
}

/** The places, and who waits for one. Requests take turns, each with one place at a time: what wants many must not hold up what wants one. */
export class PlaceQueue {
  /** Places. */
  readonly limit: number;
  /** Requests that wait for their first place. */
  newcomers = 0;
  /** Places that are taken. */
  taken = 0;
  #queue = new Map<RequestPlaces, Set<QueuedPlace>>();

  constructor(limit: number) {
    this.limit = limit;
  }

  get isFull(): boolean {
    return this.taken >= this.limit;
  }

  /** Requests that wait for a place, their first or a further one: they take turns. */
  get length(): number {
    return this.#queue.size;
  }

  /** One more request of that endpoint, which has its first place or waits for it. */
  enter(taker: PlaceTaker): Place {
    return new RequestPlaces(this, taker);
  }

  /** A place for `request`, called at once if one is free. */
  ask(request: RequestPlaces, isFirst: boolean): QueuedPlace {
    const place = new QueuedPlace(isFirst, (hadTurn) => {
      if (hadTurn) this.#free(request);
      else this.#forget(request, place);
    });
    if (this.isFull) {
      const waiting = this.#queue.get(request);
      if (waiting) waiting.add(place);
      else this.#queue.set(request, new Set([place]));
      this.#count(request, place, 1);
    } else this.#give(request, place);
    return place;
  }

  #give(request: RequestPlaces, place: QueuedPlace): void {
    this.taken += 1;
    request.taker.metrics.placesTaken.inc();
    place.call();
  }

  // In one go: nobody who comes in this very tick may be before those who wait.
  #free(from: RequestPlaces): void {
    this.taken -= 1;
    from.taker.metrics.placesTaken.dec();
    for (const [request, waiting] of this.#queue) {
      for (const place of waiting) {
        this.#forget(request, place);
        if (this.#queue.delete(request)) this.#queue.set(request, waiting); // what else it wants comes after the others
        return this.#give(request, place);
      }
    }
  }

  #forget(request: RequestPlaces, place: QueuedPlace): void {
    const waiting = this.#queue.get(request);
    if (!waiting?.delete(place)) return;
    if (waiting.size === 0) this.#queue.delete(request);
    this.#count(request, place, -1);
  }

  #count({ taker }: RequestPlaces, { isFirst }: QueuedPlace, change: 1 | -1): void {
    taker.metrics.queueDepth.inc(change);
    if (!isFirst) return;
    this.newcomers += change;
    taker.newcomers += change;
  }
}

class RequestPlaces implements Place {
  readonly taker: PlaceTaker;
  readonly position: number;
  #places: PlaceQueue;
  #own: QueuedPlace;
  #isOwnTaken = false;
  /** One listener of each signal for all that wait: to add one, a signal looks at those it has, which might be a thousand. */
  #watched = new Map<AbortSignal, Set<QueuedPlace>>();

  constructor(places: PlaceQueue, taker: PlaceTaker) {
    this.taker = taker;
    this.#places = places;
    this.#own = places.ask(this, true);
    this.position = this.#own.isWaiting ? places.length : 0;
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
