/** Stop strings over a stream of deltas: what may be released, and when it is over. */
import type { Delta } from "./contract.ts";
import { cutLogprobs } from "./logprobs.ts";

/** A stop string that was found. */
export interface Stopped {
  /** The part of a delta that stands before it. */
  readonly delta: Delta;
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
  const searches = stops.filter((stop) => stop !== "").map(createSearch);
  let pending: Delta[] = [];
  let held = "";
  /** Length of all text that has been released. */
  let gone = 0;

  function release(end: number): Delta[] {
    let [count, length] = [0, 0];
    for (const { text } of pending) {
      if (length + text.length > end) break;
      length += text.length;
      count += 1;
    }
    held = held.slice(length);
    gone += length;
    return pending.splice(0, count);
  }

  function stop({ at, stopText }: Match): StopStep {
    const text = held.slice(0, at);
    const released = release(at);
    const cut = text.slice(released.reduce((sum, delta) => sum + delta.text.length, 0));
    const [{ reasoning } = { reasoning: undefined }] = pending; // it stands before the text of its delta
    const said = sayBefore(pending[0], cut.length);
    pending = [];
    held = "";
    const delta = { text: cut, ...(reasoning !== undefined && { reasoning }), ...said };
    return { released, stopped: { delta, stopText } };
  }

  // Its place is in the text that is held: what has been released was no part of one.
  function findFirst(): Match | undefined {
    let first: Match | undefined;
    for (const search of searches) {
      const at = search.found() - gone;
      if (at < (first?.at ?? Number.POSITIVE_INFINITY)) first = { at, stopText: search.stopText };
    }
    return first;
  }

  return {
    push(delta) {
      pending.push(delta);
      held += delta.text;
      let open = held.length; // where a stop string that is not over yet may have begun
      for (const search of searches) open = Math.min(open, held.length - search.push(delta.text));
      const match = findFirst();
      if (match && match.at < open) return stop(match);
      return { released: release(Math.min(open, match?.at ?? open)), stopped: undefined };
    },
    flush() {
      const match = findFirst();
      return match ? stop(match) : { released: release(held.length), stopped: undefined };
    },
  };
}

function sayBefore(delta: Delta | undefined, length: number): Pick<Delta, "logprobs" | "promptLogprobs"> | undefined {
  const { logprobs, promptLogprobs } = delta ?? {};
  if (!logprobs && !promptLogprobs) return undefined;
  return {
    ...(logprobs && { logprobs: cutLogprobs(logprobs, length) }),
    ...(promptLogprobs && { promptLogprobs }),
  };
}

interface Match {
  readonly at: number;
  readonly stopText: string;
}

/** Looks for one stop string. Knuth, Morris and Pratt: each character costs the same, whatever stop strings clients think of. */
interface Search {
  readonly stopText: string;
  /** Where it began for the first time, in all text; infinite until then. */
  found(): number;
  /** @returns the length of the longest end of the text so far that may become the stop string. */
  push(text: string): number;
}

function createSearch(stopText: string): Search {
  const borders: number[] = [];
  let matched = 0;
  let seen = 0;
  let found = Number.POSITIVE_INFINITY;
  return {
    stopText,
    found: () => found, // no getter: each of an object literal's own keeps the objects alive until a full collection
    push(text) {
      for (let at = 0; at < text.length; at += 1) {
        matched = follow(stopText, borders, matched, text.charCodeAt(at));
        if (matched > borders.length) borders.push(nextBorder(stopText, borders));
        if (matched < stopText.length) continue;
        found = Math.min(found, seen + at + 1 - matched);
        matched = borders[matched - 1] ?? 0;
      }
      seen += text.length;
      return matched;
    },
  };
}

// How much of the stop string the text ends with after one more character.
function follow(stopText: string, borders: readonly number[], before: number, code: number): number {
  let matched = before;
  while (matched > 0 && stopText.charCodeAt(matched) !== code) matched = borders[matched - 1] ?? 0;
  return stopText.charCodeAt(matched) === code ? matched + 1 : 0;
}

// For the beginning of the text that is one character longer than those before: the length of its longest end, itself aside, that the text begins with.
// Found only as far as an answer has matched: a stop string may be as long as a body.
function nextBorder(text: string, borders: readonly number[]): number {
  const at = borders.length;
  return at === 0 ? 0 : follow(text, borders, borders[at - 1] ?? 0, text.charCodeAt(at));
}
