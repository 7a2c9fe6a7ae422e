/** Stop strings over a stream of deltas: what may be released, and when it is over. */
import type { Delta } from "./contract.ts";

/** A stop string that was found. */
export interface Stopped {
  /** The part of a delta that stands before it. */
  readonly text: string;
  readonly stopText: string;
}

export interface StopStep {
  /** Deltas that may be sent on, each whole. */
  readonly released: readonly Delta[];
  readonly stopped: Stopped | undefined;
}

/** Holds back deltas that could be part of a stop string. */
export interface StopGate {
  push(delta: Delta): StopStep;
  /** Nothing more comes: a match that waited for a longer one is decided. */
  flush(): StopStep;
}

/** Create a gate. The earliest match wins, at the same place the first listed, however the text is cut into deltas. Empty stop strings are ignored. */
export function createStopGate(stops: readonly string[]): StopGate {
  const wanted = stops.filter((stop) => stop !== "");
  const longest = Math.max(0, ...wanted.map(({ length }) => length));
  let pending: Delta[] = [];
  let held = "";

  function release(end: number): Delta[] {
    let [count, length] = [0, 0];
    for (const { text } of pending) {
      if (length + text.length > end) break;
      length += text.length;
      count += 1;
    }
    held = held.slice(length);
    return pending.splice(0, count);
  }

  function stop({ at, stopText }: Match): StopStep {
    const text = held.slice(0, at);
    const released = release(at);
    const cut = text.slice(released.reduce((sum, delta) => sum + delta.text.length, 0));
    pending = [];
    held = "";
    return { released, stopped: { text: cut, stopText } };
  }

  return {
    push(delta) {
      pending.push(delta);
      held += delta.text;
      const match = findFirst(held, wanted);
      const open = held.length - openLength(held, wanted, longest); // where a stop string that is not over yet may have begun
      if (match && match.at < open) return stop(match);
      return { released: release(Math.min(open, match?.at ?? open)), stopped: undefined };
    },
    flush() {
      const match = findFirst(held, wanted);
      return match ? stop(match) : { released: release(held.length), stopped: undefined };
    },
  };
}

interface Match {
  readonly at: number;
  readonly stopText: string;
}

function findFirst(text: string, stops: readonly string[]): Match | undefined {
  let first: Match | undefined;
  for (const stopText of stops) {
    const at = text.indexOf(stopText);
    if (at >= 0 && (first === undefined || at < first.at)) first = { at, stopText };
  }
  return first;
}

// Length of the longest end of `text` that is the beginning of a stop string.
function openLength(text: string, stops: readonly string[], longest: number): number {
  for (let length = Math.min(text.length, longest - 1); length > 0; length -= 1) {
    const tail = text.slice(text.length - length);
    if (stops.some((stop) => stop.length > length && stop.startsWith(tail))) return length;
  }
  return 0;
}
