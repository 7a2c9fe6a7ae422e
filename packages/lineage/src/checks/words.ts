/** How problems name what they are about. */
import { contradiction, type AttemptNode, type Problem } from "../tree.ts";

/** A fact of a node, if it is known. */
export type Fact = string | number | undefined;

/** A contradiction, unless the two are the same. */
export function differ(what: string, value: Fact, than: string, expected: Fact): Problem[] {
  return value === expected ? [] : [contradiction(`${what} is ${show(value)}, but ${than} is ${show(expected)}`)];
}

export function show(value: Fact): string {
  return value === undefined ? "absent" : String(value);
}

export function nameOf({ attempt, worker_id: worker }: AttemptNode): string {
  return `attempt ${attempt ?? "?"} at ${show(worker)}`;
}
