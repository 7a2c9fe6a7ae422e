/** Headers that a handler gives for the HTTP answer: how many, how long, and what each may be. Which of them a client gets is the frontend's affair. */
import { countOf } from "../counts.ts";
import { RuntimeError } from "../errors.ts";
import { describeValue, excerpt } from "../excerpt.ts";
import { isHeaderName, isHeaderValue, isTable, tableAdvice } from "./request-headers.ts";

/** By their names in lower case. */
export type ResponseHeaders = Readonly<Record<string, string>>;

const maxHeaders = 32;
const maxBytes = 2_048;

/** Those before and those that are given now, which win. @throws RuntimeError `internal` naming what cannot travel: it is the handler's fault, not its caller's. */
export function addResponseHeaders(before: ResponseHeaders | undefined, given: unknown): ResponseHeaders {
  if (!isTable(given))
    throw new RuntimeError("internal", `response headers must be ${tableAdvice}, got ${describeValue(given)}`);
  const all = new Map(before && Object.entries(before));
  for (const [name, value] of Object.entries(given)) all.set(toName(name), toValue(name, value));
  if (all.size > maxHeaders)
    throw new RuntimeError("internal", `${countOf(all.size, "response header")}, limit ${maxHeaders}`);
  const headers = Object.fromEntries(all);
  const bytes = sizeOf(Object.entries(headers));
  if (bytes > maxBytes)
    throw new RuntimeError("internal", `response headers of ${countOf(bytes, "byte")}, limit ${maxBytes}`);
  return headers;
}

// Programs may give anything.
function toName(name: string): string {
  const lower = name.toLowerCase();
  if (isHeaderName(lower)) return lower;
  throw new RuntimeError(
    "internal",
    `${JSON.stringify(excerpt(name, 80))} is no name of a response header: 1 to 64 letters, digits and signs of HTTP`,
  );
}

function toValue(name: string, value: unknown): string {
  if (isHeaderValue(value)) return value;
  throw new RuntimeError(
    "internal",
    `the response header ${name} must be a text of one line, of characters up to U+00FF, got ${describeValue(value)}`,
  );
}

function sizeOf(headers: readonly (readonly [string, string])[]): number {
  return headers.reduce((sum, [name, value]) => sum + name.length + Buffer.byteLength(value), 0);
}

/** Those that a worker has sent, within the limits; undefined for none. A peer may send anything. */
export function keepResponseHeaders(sent: unknown): ResponseHeaders | undefined {
  if (typeof sent !== "object" || sent === null) return undefined;
  const kept: [string, string][] = [];
  let bytes = 0;
  for (const [name, value] of Object.entries(sent as Readonly<Record<string, unknown>>)) {
    if (kept.length === maxHeaders) break;
    if (!isHeaderName(name) || !isHeaderValue(value)) continue;
    bytes += sizeOf([[name, value]]);
    if (bytes > maxBytes) break;
    kept.push([name, value]);
  }
  return kept.length > 0 ? Object.fromEntries(kept) : undefined;
}
