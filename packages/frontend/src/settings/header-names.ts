/** Names of headers in a setting. */
import { isHeaderName, maxForwardedHeaders } from "@dyn/runtime/internal";

/** Whoever sends these trusts this frontend with them, and nobody behind it. */
const credentials = new Set([
  "authorization",
  "proxy-authorization",
  "cookie",
  "set-cookie",
  "x-api-key",
  "api-key",
  "x-goog-api-key",
]);

/** Names of headers that may go on to workers, in lower case. @throws Error saying what is wrong with one. */
export function parseForwarded(text: string): readonly string[] {
  const names = text.split(",").flatMap((name) => name.trim().toLowerCase() || []);
  for (const name of names) {
    if (!isHeaderName(name)) throw new Error("expected names of headers, separated by commas");
    if (credentials.has(name)) throw new Error(`${name} is a credential: no worker is given those of clients`);
  }
  const distinct = [...new Set(names)];
  if (distinct.length > maxForwardedHeaders)
    throw new Error(`expected at most ${maxForwardedHeaders} names of headers`);
  return distinct;
}
