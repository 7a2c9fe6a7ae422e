/** Who may ask: keys of clients and of operators, of which only hashes are kept. */
import { hash } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { RuntimeError } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";

/** Keys by hash, as a file lists them. */
export interface ApiKeys {
  /** Nobody is let in. */
  readonly isEmpty: boolean;
  /** The first of these keys that is known. */
  find(presented: readonly PresentedKey[]): ApiKey | undefined;
}

/** SHA-256 of a key that a request carries, in hex. */
export type PresentedKey = string;

export interface ApiKey {
  /** For log lines. */
  readonly name: string;
  /** Tells it from all others, also those of its name. Not for log lines. */
  readonly hash: string;
}

const minKeyChars = 16;
const namePattern = /^[\w.@-]{1,64}$/;

/** A line per key: SHA-256 in hex, then, if wanted, a name. Empty lines and lines that begin with # do not count.
 *  A key is looked up by its hash in a map, which compares no more of it the more of it is right: the time that takes says nothing.
 *  @throws Error that says which line is wrong, and not what it holds. */
export function parseApiKeys(text: string): ApiKeys {
  const known = new Map<string, ApiKey>();
  for (const [index, line] of text.split("\n").entries()) {
    const key = parseLine(line, index + 1);
    if (!key) continue;
    if (known.has(key.hash)) throw new Error(`line ${index + 1}: that key is listed already`);
    known.set(key.hash, key);
  }
  return {
    isEmpty: known.size === 0,
    find(presented) {
      for (const hash of presented) {
        const found = known.get(hash);
        if (found) return found;
      }
      return undefined;
    },
  };
}

/** The keys of a request. Both headers are looked at: a proxy may have put its own into one of them. */
export function presentedKeys(headers: IncomingHttpHeaders): readonly PresentedKey[] {
  return keysOf(headers).map(toHash);
}

function parseLine(line: string, number: number): ApiKey | undefined {
  const words = line.trim().split(/\s+/);
  const [hex = "", name = `sha256:${hex.slice(0, 8).toLowerCase()}`, ...rest] = words;
  if (hex === "" || hex.startsWith("#")) return undefined;
  if (!/^[0-9a-f]{64}$/i.test(hex))
    throw new Error(`line ${number}: expected a SHA-256 of 64 hex digits, as dyn-frontend hash-key writes it`);
  if (words.length > 1 && !namePattern.test(name))
    throw new Error(`line ${number}: expected a name of 1 to 64 letters, digits and . _ @ -`);
  if (rest.length > 0) throw new Error(`line ${number}: expected a hash and a name, nothing after them`);
  return { hash: hex.toLowerCase(), name };
}

function toHash(key: string): string {
  return hash("sha256", key, "hex");
}

function keysOf({ authorization, "x-api-key": other }: IncomingHttpHeaders): string[] {
  if (authorization === undefined && other === undefined) return [];
  const bearer = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
  return [bearer, other].filter((key) => typeof key === "string" && key !== "") as string[]; // just filtered
}

/** Why a request without a known key is refused. */
export function toKeyError(headers: IncomingHttpHeaders, kind: "API key" | "operator's key"): RuntimeError {
  const hasKey = keysOf(headers).length > 0;
  const how = "send one as Authorization: Bearer KEY, or as x-api-key: KEY";
  return new RuntimeError(
    "unauthenticated",
    hasKey ? `the ${kind} is not known here` : `an ${kind} is required: ${how}`,
  );
}

/** The line of a file for `key`. @throws RuntimeError `invalid_argument` for a key or a name that cannot be used. */
export function formatKeyLine(key: string, name: string | undefined): string {
  if (key.length < minKeyChars || !/^[\x21-\x7e]*$/.test(key)) {
    throw new RuntimeError(
      "invalid_argument",
      `expected one key of at least ${minKeyChars} characters of visible ASCII on standard input`,
    );
  }
  if (name !== undefined && !namePattern.test(name)) {
    throw new RuntimeError("invalid_argument", "expected a name of 1 to 64 letters, digits and . _ @ -");
  }
  const hex = toHash(key);
  return name === undefined ? hex : `${hex} ${name}`;
}

/** Whoever guesses keys is seen by the address. */
export function logRefusedCaller(
  log: Logger,
  { code, message, traits: { status } }: RuntimeError,
  { socket }: IncomingMessage,
): void {
  const fields = { remote: socket.remoteAddress, status, error: message, "error.type": code };
  log.summed("warn", fields, "request without a known key refused", { kind: message });
}
