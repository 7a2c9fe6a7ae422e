/** Records signed with the plane token: whoever can only write in the directory can neither make one nor change one. Layout: docs/discovery-records.md. */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { Tokens } from "../security/auth.ts";

/** The signature is the last field of the text, and covers all that is before it, to the byte. */
const signedPattern = /^(.*),"dyn_signature":"([0-9a-f]{64})"\}$/s;

/** Add the signature of the first token; without tokens the text stays as it is. `place` is bucket and key: elsewhere it says nothing. */
export function signRecord(text: string, place: string, tokens: Tokens | undefined): string {
  if (!tokens) return text;
  const content = text.slice(0, -1); // its closing brace comes back behind the signature
  return `${content},"dyn_signature":"${digest(content, place, tokens[0]).toString("hex")}"}`;
}

/** @returns what is wrong with the signature of a record; undefined if nothing is, or nobody asks for one. */
export function findBadSignature(text: string, place: string, tokens: Tokens | undefined): string | undefined {
  if (!tokens) return undefined;
  const [, content, signature] = signedPattern.exec(text) ?? [];
  if (content === undefined || signature === undefined)
    return "it is not signed, and a plane token is set here: set --plane-token-file for its process, too";
  const given = Buffer.from(signature, "hex");
  if (tokens.some((token) => timingSafeEqual(given, digest(content, place, token)))) return undefined;
  return "its signature is wrong: its process has another plane token (--plane-token-file), or somebody has changed it";
}

function digest(content: string, place: string, { recordKey }: Tokens[number]): Buffer {
  return createHmac("sha256", recordKey).update(`${place}\n${content}`).digest();
}
