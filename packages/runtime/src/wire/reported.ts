/** Facts that a handler reports of its request, as they travel in a trailer: few and short, each of a plain kind. */
import { excerpt } from "../excerpt.ts";

export type Reported = Readonly<Record<string, string | number | boolean>>;

const maxFacts = 32;
/** With the rest of a trailer they fit into the least frame limit. */
const maxBytes = 2_048;
const maxTextChars = 256;
const namePattern = /^[\w.-]{1,64}$/;

/** Those that travel, the first ones where they are too many; undefined for none. The same at both ends, since a peer may send anything. */
export function keepReported(given: Readonly<Record<string, unknown>>): Reported | undefined {
  const kept: [string, string | number | boolean][] = [];
  let bytes = 0;
  for (const [name, value] of Object.entries(given)) {
    if (kept.length === maxFacts) break;
    if (!namePattern.test(name) || !isFact(value)) continue;
    const fact = typeof value === "string" ? excerpt(value, maxTextChars) : value;
    bytes += name.length + (typeof fact === "string" ? Buffer.byteLength(fact) : 8) + 4;
    if (bytes > maxBytes) break;
    kept.push([name, fact]);
  }
  return kept.length > 0 ? Object.fromEntries(kept) : undefined;
}

function isFact(value: unknown): value is string | number | boolean {
  return typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);
}
