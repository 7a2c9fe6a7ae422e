/** Stop strings over a stream of text: what may be released, and when it is over. */

export interface StopMatcher {
  /** Add text. `released` is safe to send on; `stopped` is the stop string that was found, `released` ends before it. */
  push(text: string): { released: string; stopped: string | undefined };
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
      const found = findFirst(held, wanted);
      if (found) {
        const released = held.slice(0, found.at);
        held = "";
        return { released, stopped: found.stop };
      }
      const keep = heldBack(held, wanted, longest);
      const released = held.slice(0, held.length - keep);
      held = held.slice(held.length - keep);
      return { released, stopped: undefined };
    },
    flush() {
      const rest = held;
      held = "";
      return rest;
    },
  };
}

function findFirst(text: string, stops: readonly string[]): { readonly at: number; readonly stop: string } | undefined {
  let first: { at: number; stop: string } | undefined;
  for (const stop of stops) {
    const at = text.indexOf(stop);
    if (at >= 0 && (first === undefined || at < first.at)) first = { at, stop };
  }
  return first;
}

// Length of the longest end of `text` that is the beginning of a stop string.
function heldBack(text: string, stops: readonly string[], longest: number): number {
  for (let length = Math.min(text.length, longest - 1); length > 0; length -= 1) {
    const tail = text.slice(text.length - length);
    if (stops.some((stop) => stop.startsWith(tail))) return length;
  }
  return 0;
}
