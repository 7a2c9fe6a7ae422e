/** Of names that there are, those that somebody may have meant by one that there is not. */

/** Longer ones are no slips of the pen. */
const maxLength = 64;
/** More would be a list to read. */
const maxSuggestions = 3;
/** What stands at the end of a name for its unit. */
const units: ReadonlySet<string> = new Set(["ms", "secs", "seconds", "mb", "mib", "kb", "bytes"]);

/** The nearest of `known`, or else those that have all words of `given`, units aside; at most three, in their order. */
export function suggest(given: string, known: readonly string[]): string[] {
  if (given.length > maxLength) return [];
  const lower = given.toLowerCase();
  const distances = known.map((name) => countEdits(lower, name.toLowerCase()));
  const nearest = Math.min(...distances);
  if (nearest <= Math.max(1, Math.floor(given.length / 4)))
    return known.filter((_, index) => distances[index] === nearest).slice(0, maxSuggestions);
  const wanted = toWords(given);
  if (wanted.length === 0) return [];
  return known.filter((name) => hasAll(toWords(name), wanted)).slice(0, maxSuggestions);
}

function toWords(name: string): string[] {
  const words = name.split(/(?=[A-Z])|[^A-Za-z0-9]+/).map((word) => word.toLowerCase());
  return words.filter((word) => word !== "" && !units.has(word));
}

function hasAll(words: readonly string[], wanted: readonly string[]): boolean {
  return wanted.every((word) => words.includes(word));
}

// Letters to insert, drop, change or swap with the next one (Damerau and Levenshtein), one row of the table at a time.
function countEdits(from: string, to: string): number {
  let earlier: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let at = 0; at < from.length; at += 1) {
    const next = [at + 1];
    for (let other = 0; other < to.length; other += 1) {
      const [left = 0, above = 0, before = 0] = [next[other], row[other + 1], row[other]];
      const isSwap = at > 0 && from[at] === to[other - 1] && from[at - 1] === to[other];
      const swapped = isSwap ? (earlier[other - 1] ?? 0) + 1 : Number.POSITIVE_INFINITY;
      next.push(Math.min(left + 1, above + 1, before + (from[at] === to[other] ? 0 : 1), swapped));
    }
    [earlier, row] = [row, next];
  }
  return row.at(-1) ?? 0;
}
