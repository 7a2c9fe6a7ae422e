/** Stop strings over a stream of text: what may be released, and when it is over. */

export interface StopMatcher {
  /** Add text. `released` is safe to send on; `stopped` = a stop string was found, `released` ends before it. */
  push(text: string): { released: string; stopped: boolean };
  /** The text held back because it could have begun a stop string. */
  flush(): string;
}

/** Create a matcher. The earliest match wins; at the same place the first listed. Empty stop strings are ignored. */
export function createStopMatcher(stops: readonly string[]): StopMatcher {
  const wanted = stops.filter((stop) => stop !== "");
  const longest = Math.max(0, ...wanted.map(({ length }) => length));
  let held = "";
  return {
    push(text) {
      held += text;
      const found = wanted.map((stop) => held.indexOf(stop)).filter((at) => at >= 0);
      if (found.length > 0) {
        const released = held.slice(0, Math.min(...found));
        held = "";
        return { released, stopped: true };
      }
      const keep = heldBack(held, wanted, longest);
      const released = held.slice(0, held.length - keep);
      held = held.slice(held.length - keep);
      return { released, stopped: false };
    },
    flush() {
      const rest = held;
      held = "";
      return rest;
    },
  };
}

// Length of the longest end of `text` that is the beginning of a stop string.
function heldBack(text: string, stops: readonly string[], longest: number): number {
  for (let length = Math.min(text.length, longest - 1); length > 0; length -= 1) {
    const tail = text.slice(text.length - length);
    if (stops.some((stop) => stop.startsWith(tail))) return length;
  }
  return 0;
}
