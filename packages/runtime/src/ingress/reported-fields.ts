/** Facts that a handler has reported, as fields of its line. */

import { excerpt } from "../excerpt.ts";

type Fact = string | number | boolean;
type Facts = Readonly<Record<string, Fact>>;

/** A line with more is no line any more: the log would cut it. */
const maxFacts = 64;
const maxTextChars = 1_024;

/** Add what a handler reports. Later words of a fact win; further facts than a line may have are left out. */
export function addReported(to: Record<string, Fact>, more: Facts): void {
  let count = Object.keys(to).length;
  for (const name in more) {
    if (!Object.hasOwn(more, name) || name === "__proto__") continue;
    if (!Object.hasOwn(to, name) && (count += 1) > maxFacts) return;
    const value = more[name];
    if (value !== undefined) to[name] = typeof value === "string" ? excerpt(value, maxTextChars) : value;
  }
}

/** What lines about a request say themselves, those that this one may lack included: whoever reads a log takes it for our word. */
const owned = new Set([
  "attempt",
  "error",
  "error.type",
  "error_detail",
  "error_type",
  "event",
  "mismatch",
  "outcome",
  "request.attempt",
  "status",
  "x_request_id",
]);

/** The same facts; one of those names gets `field.` before it, as a key of a program's own line does. */
export function toLineFacts(reported: Facts): Facts {
  if (!Object.keys(reported).some((name) => owned.has(name))) return reported;
  return Object.fromEntries(
    Object.entries(reported).map(([name, value]) => [owned.has(name) ? `field.${name}` : name, value]),
  );
}
