/** Signatures of blocks of thinking. One whose text a client does not want to see holds it, so that it comes back with the conversation. Nothing is secret: the client may read it. */

const holding = "dyn-thinking-";
/** Characters of thinking that a signature holds; beyond that it holds none of it. */
export const maxHeldChars = 65_536;

/** That of a block whose text the client has. */
export function toSignature(requestId: string): string {
  return `dyn-${requestId}`;
}

/** That of a block without its text. */
export function holdThinking(text: string, requestId: string): string {
  return text === "" || text.length > maxHeldChars
    ? toSignature(requestId)
    : holding + Buffer.from(text).toString("base64");
}

/** The thinking that a signature holds; "" if none. Clients may send anything. */
export function readThinking(signature: unknown): string {
  if (typeof signature !== "string" || !signature.startsWith(holding)) return "";
  return Buffer.from(signature.slice(holding.length), "base64").toString();
}
