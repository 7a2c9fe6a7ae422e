/** JSON that keeps what JSON.parse rounds: the source text of the members of its outermost object. */
import { RuntimeError } from "@dyn/runtime";
import { endOfJsonString, isJsonMark, jsonMarks } from "@dyn/runtime/internal";

const { quote, colon, openList, closeList, openMap, closeMap } = jsonMarks;

/** Of one body: each is looked for in its bytes, and no API has as many fields. */
const maxRounded = 64;

/** Makes bigints, with every digit, of the whole numbers beyond 2^53 that are members of a parsed body itself. @throws RuntimeError `invalid_argument` for many of them. */
export function keepDigits(value: unknown, body: Buffer): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const rounded = new Set(Object.keys(value).filter((name) => isRounded(Reflect.get(value, name))));
  if (rounded.size > maxRounded)
    throw new RuntimeError(
      "invalid_argument",
      `the request body has more than ${maxRounded} fields with whole numbers beyond 2^53`,
    );
  if (rounded.size === 0) return value;
  for (const [name, source] of readSources(body, rounded)) {
    if (/^-?\d+$/.test(source)) Reflect.set(value, name, BigInt(source)); // 1e20 has no digits but those it says
  }
  return value;
}

function isRounded(member: unknown): boolean {
  return typeof member === "number" && Number.isInteger(member) && !Number.isSafeInteger(member);
}

/** Digits, with a point, from which on a double may not hold a number. */
const longNumber = 16;

/** Whether a body has a number, outside of its texts, that a double may not hold: many digits, or an exponent. */
export function mayRound(body: Buffer): boolean {
  let digits = 0;
  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at] ?? 0; // never beyond the end
    if (byte === quote) at = endOfJsonString(body, at);
    const isDigit = (byte >= 0x30 && byte <= 0x39) || byte === 0x2e;
    if (digits > 0 && (byte | 0x20) === 0x65) return true; // e, E
    digits = isDigit ? digits + 1 : 0;
    if (digits >= longNumber) return true;
  }
  return false;
}

/** The source text of members of the outermost object; of two with one name the last, as JSON.parse has it. `body` is valid JSON.
 *  A reviver would have the source too, but it is called for every value there is, and a body may hold millions. */
export function readSources(body: Buffer, names: ReadonlySet<string>): Map<string, string> {
  const found = new Map<string, string>();
  let [depth, nameAt, nameEnd, valueAt] = [0, 0, 0, 0];
  const endMember = (at: number): void => {
    const name = valueAt === 0 ? undefined : readName(body, nameAt, nameEnd);
    if (name !== undefined && names.has(name)) found.set(name, body.toString("utf8", valueAt, at).trim());
    valueAt = 0;
  };
  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at] ?? 0; // never beyond the end
    if (isJsonMark[byte] === 0) continue;
    if (byte === quote) {
      const end = endOfJsonString(body, at);
      if (depth === 1 && valueAt === 0) [nameAt, nameEnd] = [at, end];
      at = end;
    } else if (byte === openList || byte === openMap) depth += 1;
    else {
      if (depth === 1 && byte === colon) valueAt = at + 1;
      else if (depth === 1) endMember(at);
      if (byte === closeList || byte === closeMap) depth -= 1;
    }
  }
  return found;
}

// Between two quotes.
function readName(body: Buffer, from: number, to: number): string {
  const name = body.toString("utf8", from + 1, to);
  return name.includes("\\") ? (JSON.parse(`"${name}"`) as string) : name; // a JSON string is a string
}
