/** Facts that a worker's handler has reported of a request: on lines of the frontend each has a field of its own. */
import { cut } from "../tree.ts";

type Fact = string | number | boolean;

const prefix = "facts.";
/** No more travel. */
export const maxReported = 32;
const namePattern = /^[\w.-]{1,64}$/;

/** True for the name of such a field. */
export function isReportedName(name: string): boolean {
  return name.startsWith(prefix) && namePattern.test(name.slice(prefix.length));
}

export function isFact(value: unknown): value is Fact {
  return typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);
}

/** All of them among `fields`, by their own names. */
export function toReported(fields: Readonly<Record<string, unknown>>): {
  readonly facts?: Readonly<Record<string, Fact>>;
} {
  const facts: [string, Fact][] = [];
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    if (facts.length === maxReported || !isReportedName(name) || !isFact(value)) continue;
    facts.push([name.slice(prefix.length), typeof value === "string" ? cut(value) : value]);
  }
  return facts.length > 0 ? { facts: Object.fromEntries(facts) } : {};
}
