/** How many answers may be under way at a time. */
import type { ServerResponse } from "node:http";

export interface Places {
  readonly limit: number;
  /** Take a place until the answer is over, however it ends. @returns false if none is left. */
  take(response: ServerResponse): boolean;
}

/** Create `limit` free places. */
export function createPlaces(limit: number): Places {
  let taken = 0;
  const leave = (): void => {
    taken -= 1;
  };
  return {
    limit,
    take(response) {
      if (taken >= limit) return false;
      taken += 1;
      response.on("close", leave);
      return true;
    },
  };
}
