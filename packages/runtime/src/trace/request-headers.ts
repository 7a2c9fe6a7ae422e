/** Headers that go with a request to its handler: how many, how long, and how they travel on the plane. What they mean is the affair of both ends. */
import { countOf } from "../counts.ts";
import { RuntimeError } from "../errors.ts";
import { describeValue, excerpt } from "../excerpt.ts";

/** By their names in lower case. */
export type RequestHeaders = Readonly<Record<string, string>>;

/** Of a request without any. */
export const noHeaders: RequestHeaders = Object.freeze({});

export const maxForwardedHeaders = 32;
export const maxForwardedBytes = 8_192;
const prefix = "header-";
const namePattern = /^[!#$%&'*+\-.^_`|~0-9a-z]{1,64}$/;
const valuePattern = /^[\t\x20-\x7e\x80-\xff]*$/;

/** True for a name that a header may have here, in lower case. */
export function isHeaderName(name: string): boolean {
  return namePattern.test(name);
}

/** True for a value that a header may have here. */
export function isHeaderValue(value: unknown): value is string {
  return typeof value === "string" && valuePattern.test(value);
}

/** False for lists, and for `Headers` and maps: their members are no properties, and would be lost without a word. */
export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !(Symbol.iterator in value);
}

export const tableAdvice = "a plain object of texts, as Object.fromEntries(…) makes it of `Headers` or a map";

/** What a program gives, with its names in lower case. @throws RuntimeError `invalid_argument` naming what cannot travel. */
export function takeHeaders(given: RequestHeaders): RequestHeaders {
  if (!isTable(given))
    throw new RuntimeError("invalid_argument", `headers must be ${tableAdvice}, got ${describeValue(given)}`);
  const taken = new Map<string, string>();
  let bytes = 0;
  for (const [name, value] of Object.entries(given)) {
    const lower = name.toLowerCase();
    assertHeader(lower, value);
    taken.set(lower, value);
    bytes += sizeOf(lower, value);
  }
  if (taken.size > maxForwardedHeaders)
    throw new RuntimeError("invalid_argument", `${countOf(taken.size, "header")}, limit ${maxForwardedHeaders}`);
  if (bytes > maxForwardedBytes)
    throw new RuntimeError("invalid_argument", `headers of ${bytes} bytes, limit ${maxForwardedBytes}`);
  return Object.fromEntries(taken);
}

// Programs may give anything.
function assertHeader(name: string, value: unknown): void {
  if (!isHeaderName(name))
    throw new RuntimeError(
      "invalid_argument",
      `${JSON.stringify(excerpt(name, 80))} is no name of a header: 1 to 64 letters, digits and signs of HTTP`,
    );
  if (!isHeaderValue(value))
    throw new RuntimeError(
      "invalid_argument",
      `the header ${name} must be a text of one line, of characters up to U+00FF`,
    );
}

function sizeOf(name: string, value: string): number {
  return name.length + Buffer.byteLength(value);
}

/** Put them among those of a REQUEST. */
export function addForwarded(plane: Record<string, string>, headers: RequestHeaders): void {
  for (const name of Object.keys(headers)) plane[prefix + name] = headers[name] ?? "";
}

/** Those of a REQUEST that came from a caller, within the limits: no more is kept, whoever sent it. */
export function forwardedOf(plane: RequestHeaders): RequestHeaders {
  let found: [string, string][] | undefined;
  let bytes = 0;
  for (const key of Object.keys(plane)) {
    if (!key.startsWith(prefix)) continue;
    const [name, value = ""] = [key.slice(prefix.length), plane[key]];
    bytes += sizeOf(name, value);
    found ??= [];
    if (found.length === maxForwardedHeaders || bytes > maxForwardedBytes) break;
    if (isHeaderName(name) && isHeaderValue(value)) found.push([name, value]);
  }
  return found ? Object.fromEntries(found) : noHeaders;
}
