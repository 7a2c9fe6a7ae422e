/** Schemas as JSON text: on their way from the client to the engine nothing is lost of them, not even a digit. */
import { RuntimeError } from "../errors.ts";
import { createRequestId } from "../ids.ts";
import { maxDepth } from "../wire/msgpack-check.ts";
import { isMap } from "../wire/payload.ts";
import type { ExactJson, ModelRequest, Tool } from "./contract.ts";
import { findJsonExcess } from "./json-size.ts";

/** Such a number may be more than a double holds; others need no second look. */
const longNumber = /[\d.]{16}|\d[eE]/;
/** With up to 15 digits and such an exponent a double holds it. */
const plainNumber = /^-?[\d.]{1,15}(?:[eE][+-]?(?:\d{1,2}|[12][0-8]\d))?$/;
/** Of one text: each takes a microsecond to look at, and some hundred bytes to keep. */
const maxLongNumbers = 65_536;

// ES2026; TypeScript's libraries do not have it yet. https://github.com/tc39/proposal-json-parse-with-source
const { rawJSON } = JSON as typeof JSON & { rawJSON(this: void, text: string): unknown };

/** What the engine sees. @throws RuntimeError `invalid_argument` on what is no JSON, nested too deep, or nothing of the kind. */
export function readExact({ tools, responseFormat, extra }: ExactJson): Pick<ModelRequest, keyof ExactJson> {
  const list = tools === undefined ? undefined : parseExactJson(tools, "tools");
  if (list !== undefined && !isTools(list))
    throw new RuntimeError("invalid_argument", "tools of the request must be a list of maps with name");
  const format = responseFormat === undefined ? undefined : parseExactJson(responseFormat, "responseFormat");
  if (format !== undefined && !isMap(format))
    throw new RuntimeError("invalid_argument", "responseFormat of the request must be a map");
  const others = extra === undefined ? undefined : parseExactJson(extra, "extra");
  if (others !== undefined && !isMap(others))
    throw new RuntimeError("invalid_argument", "extra of the request must be a map");
  return { ...(list && { tools: list }), ...(format && { responseFormat: format }), ...(others && { extra: others }) };
}

/** A list of tools, as far as the runtime reads them. */
export function isTools(value: unknown): value is readonly Tool[] {
  return Array.isArray(value) && value.every((tool) => isMap(tool) && typeof tool["name"] === "string");
}

/** As JSON.parse, but a number that a double would change is a JSON.rawJSON, which JSON.stringify writes as it was. `what` begins an error's sentence.
 *  @throws RuntimeError `invalid_argument`. */
export function parseExactJson(text: string, what: string): unknown {
  const excess = findJsonExcess(Buffer.from(text), maxDepth);
  if (excess !== undefined) throw new RuntimeError("invalid_argument", `${what} ${excess}`);
  const mark = longNumber.test(text) ? createRequestId() : undefined; // nobody can have put it into the text
  const value = parse(mark === undefined ? text : markNumbers(text, mark, what), what);
  return restore(value, { mark, what }, 0);
}

function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new RuntimeError("invalid_argument", `${what} of the request must be JSON`, { cause });
  }
}

// Each number that a double would change becomes a string that begins with the mark. A reviver knows the source, too, but takes 2 µs for every value there is.
function markNumbers(text: string, mark: string, what: string): string {
  const places = /"|[\d.]{16}|\d[eE]/g;
  let [marked, doneAt, numbers] = ["", 0, 0];
  for (let match = places.exec(text); match; match = places.exec(text)) {
    if (match[0] === '"') {
      places.lastIndex = endOfString(text, match.index) + 1;
      continue;
    }
    const [from, to] = spanOfNumber(text, match.index);
    places.lastIndex = to;
    const number = text.slice(from, to);
    if (plainNumber.test(number)) continue;
    numbers += 1;
    if (numbers > maxLongNumbers)
      throw new RuntimeError(
        "invalid_argument",
        `${what} holds more than ${maxLongNumbers} numbers of more than 15 digits`,
      );
    if (isExact(number)) continue;
    marked += `${text.slice(doneAt, from)}"${mark}${number}"`;
    doneAt = to;
  }
  return marked + text.slice(doneAt);
}

// Of the number that a character belongs to.
function spanOfNumber(text: string, at: number): readonly [from: number, to: number] {
  let [from, to] = [at, at];
  while (from > 0 && /[\d.-]/.test(text[from - 1] ?? "")) from -= 1;
  while (to < text.length && /[\d.eE+-]/.test(text[to] ?? "")) to += 1;
  return [from, to];
}

// The index of the quote that ends the JSON string begun at `from`, or one beyond the text if none does.
function endOfString(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && text.charCodeAt(at) !== 0x22) at += text.charCodeAt(at) === 0x5c ? 2 : 1;
  return at;
}

function isExact(number: string): boolean {
  const double = String(Number(number));
  return double === number || toDecimal(double) === toDecimal(number);
}

// One form for all spellings of a number: its digits without zeros around them, and the power of ten they stand for.
function toDecimal(number: string): string {
  const [mantissa = "", exponent = "0"] = number.toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.replace("-", "").split(".");
  const digits = whole + fraction;
  let [from, to] = [0, digits.length];
  while (from < to && digits[from] === "0") from += 1;
  while (to > from && digits[to - 1] === "0") to -= 1;
  if (from === to) return "0";
  return `${number.startsWith("-") ? "-" : ""}${digits.slice(from, to)}e${Number(exponent) - fraction.length + digits.length - to}`;
}

interface Restoring {
  readonly mark: string | undefined;
  readonly what: string;
}

// Puts numbers back in the place of their marks.
function restore(value: unknown, restoring: Restoring, depth: number): unknown {
  const { mark, what } = restoring;
  if (typeof value === "string")
    return mark !== undefined && value.startsWith(mark) ? rawJSON(value.slice(mark.length)) : value;
  if (typeof value !== "object" || value === null) return value;
  if (depth >= maxDepth) throw new RuntimeError("invalid_argument", `${what} is nested deeper than ${maxDepth} levels`);
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) value[index] = restore(value[index], restoring, depth + 1);
    return value;
  }
  const map = value as Record<string, unknown>; // what is neither a scalar nor a list
  for (const key of Object.keys(map)) map[key] = restore(map[key], restoring, depth + 1);
  return map;
}
