/** Who may take a place of an endpoint: requests that find none wait, as many as may, and further ones are refused. */
import { countOf } from "../counts.ts";
import { RuntimeError } from "../errors.ts";
import { PlaceQueue, type Place, type PlaceMetrics, type PlaceTaker } from "./places.ts";

/** Asked once for each request. */
export interface Admission {
  /** Requests that wait for their first place. */
  readonly waiting: number;
  /** Take a place. @returns undefined if they are not limited. @throws RuntimeError `overloaded` if none is left, to run or to wait. */
  enter(): Place | undefined;
}

/** Places that one endpoint has for itself, or that several share. */
export interface Room {
  /** Undefined if they are not limited. */
  readonly places: PlaceQueue | undefined;
  /** Requests that may wait beside those that have a place. */
  readonly queueLimit: number;
}

/** Create an empty one. Of `limits` the lowest holds; 0 = as many as are wanted. */
export function createRoom(limits: readonly number[], queueLimit: number): Room {
  const limit = Math.min(...limits.filter((each) => each > 0));
  return { places: limit === Infinity ? undefined : new PlaceQueue(limit), queueLimit };
}

/** The door of one endpoint to a room. */
export function createAdmission({ places, queueLimit }: Room, metrics: PlaceMetrics): Admission {
  if (!places) return { waiting: 0, enter: () => undefined };
  metrics.places.set(places.limit);
  metrics.queueCapacity.set(queueLimit);
  const taker: PlaceTaker = { metrics, newcomers: 0 };
  return {
    get waiting() {
      return taker.newcomers;
    },
    enter() {
      if (places.isFull && places.newcomers >= queueLimit) {
        const taken = countOf(places.limit, "place is", "places are");
        const waiting = countOf(places.newcomers, "request is", "requests are");
        throw new RuntimeError("overloaded", `${taken} taken and ${waiting} waiting, the limits of this worker`);
      }
      return places.enter(taker);
    },
  };
}
