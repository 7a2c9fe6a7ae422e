/** Names of headers of answers that workers may set, in a setting. */
import { isHeaderName } from "@dyn/runtime/internal";

const maxNames = 64;

/** What this frontend says itself, or nobody may say for it. */
const owned = new Set([
  "accept",
  "accept-encoding",
  "allow",
  "alt-svc",
  "cache-control",
  "clear-site-data",
  "connection",
  "date",
  "etag",
  "keep-alive",
  "location",
  "refresh",
  "request-id",
  "retry-after",
  "server",
  "server-timing",
  "set-cookie",
  "strict-transport-security",
  "te",
  "traceparent",
  "tracestate",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "vary",
  "www-authenticate",
  "x-accel-buffering",
  "x-request-id",
  "x-should-retry",
]);
const ownedBeginnings = ["access-control-", "content-", "proxy-", "sec-"];

function isOwned(name: string): boolean {
  return owned.has(name) || ownedBeginnings.some((beginning) => name.startsWith(beginning));
}

/** Names in lower case, of which one that ends in `*` stands for all that begin so. @throws Error saying what is wrong with one. */
export function parseResponseHeaders(text: string): readonly string[] {
  const names = text.split(",").flatMap((name) => name.trim().toLowerCase() || []);
  for (const name of names) {
    const beginning = name.endsWith("*") ? name.slice(0, -1) : name;
    if (!isHeaderName(beginning) || beginning.includes("*"))
      throw new Error(
        "expected names of headers, or beginnings of names with * behind them such as x-ratelimit-*, separated by commas",
      );
    if (isOwned(beginning)) throw new Error(`${name} is the frontend's own: no worker may set it`);
  }
  const distinct = [...new Set(names)];
  if (distinct.length > maxNames) throw new Error(`expected at most ${maxNames} names of headers`);
  return distinct;
}

/** True for a name that is allowed. */
export type IsAllowed = (name: string) => boolean;

/** Whether a name is one of `names`, as `parseResponseHeaders` gives them. What the frontend says itself is none, whatever they are. */
export function toAllowed(names: readonly string[]): IsAllowed {
  const whole = new Set(names.filter((name) => !name.endsWith("*")));
  const beginnings = names.flatMap((name) => (name.endsWith("*") ? name.slice(0, -1) : []));
  return (name) => (whole.has(name) || beginnings.some((beginning) => name.startsWith(beginning))) && !isOwned(name);
}
