/** W3C Baggage: which members of a client's header travel on to the worker. https://www.w3.org/TR/baggage/ */
import { excerpt } from "../excerpt.ts";

const maxHeaderBytes = 8_192;
const maxMembers = 64;
const member = /^\s*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*=[\x20-\x7e]*$/;

/** The members whose key is in `allowed`, as they came; undefined if none is left, or the header passes the standard's limits. */
export function selectBaggage(header: string | undefined, allowed: ReadonlySet<string>): string | undefined {
  if (header === undefined || allowed.size === 0 || header.length > maxHeaderBytes) return undefined;
  const members = header.split(",");
  if (members.length > maxMembers) return undefined;
  const kept = members.filter((text) => allowed.has(member.exec(text)?.[1] ?? "")).map((text) => text.trim());
  return kept.length > 0 ? excerpt(kept.join(",")) : undefined;
}
