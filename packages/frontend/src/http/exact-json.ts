/** JSON that keeps what JSON.parse rounds: the source text of the members of its outermost object. */
import { excerpt } from "@dyn/runtime";
import { endOfString } from "@dyn/runtime/llm";

/** As JSON.parse, except that whole numbers beyond 2^53 that are members of the outermost object are bigints. @throws SyntaxError. */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const rounded = new Set(Object.keys(value).filter((name) => isRounded(Reflect.get(value, name)))); // no entries: there may be a million members
  if (rounded.size === 0) return value;
  const sources = readSources(text, rounded);
  const members = Object.entries(value);
  return Object.fromEntries(members.map(([name, member]) => [name, rounded.has(name) ? toExact(member, sources.get(name)) : member]));
}

// 1e20 has no digits but those it says.
function toExact(rounded: unknown, source = ""): unknown {
  return /^-?\d+$/.test(source) ? BigInt(source) : rounded;
}

function isRounded(member: unknown): boolean {
  return typeof member === "number" && Number.isInteger(member) && !Number.isSafeInteger(member);
}

/** The source text of members of the outermost object; of two with one name the last, as JSON.parse has it. `text` is valid JSON.
 *  A reviver would have the source too, but it is called for every value there is, and a body may hold millions. */
export function readSources(text: string, names: ReadonlySet<string>): Map<string, string> {
  const found = new Map<string, string>();
  let [depth, nameAt, nameEnd, valueAt] = [0, 0, 0, 0];
  const endMember = (at: number): void => {
    const name: unknown = valueAt > 0 && JSON.parse(text.slice(nameAt, nameEnd + 1));
    if (typeof name === "string" && names.has(name)) found.set(name, excerpt(text.slice(valueAt, at).trim()));
    valueAt = 0;
  };
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === '"') {
      const end = endOfString(text, at);
      if (depth === 1 && valueAt === 0) [nameAt, nameEnd] = [at, end];
      at = end;
      continue;
    }
    if (depth === 1 && char === ":") valueAt = at + 1;
    if (depth === 1 && (char === "," || char === "}")) endMember(at);
    depth += toStep(char);
  }
  return found;
}

function toStep(char: string | undefined): number {
  if (char === "{" || char === "[") return 1;
  return char === "}" || char === "]" ? -1 : 0;
}
