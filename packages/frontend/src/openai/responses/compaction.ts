/** A summary as clients hold it: their field for it is called encrypted, but it is no secret from them. */
const prefix = "dyn1.";

export function toCompactionText(summary: string): string {
  return `${prefix}${Buffer.from(summary).toString("base64")}`;
}

/** What engines see of it; undefined for one of another server. */
export function readCompaction(text: string): string | undefined {
  if (!text.startsWith(prefix)) return undefined;
  return `Summary of the conversation so far:\n\n${Buffer.from(text.slice(prefix.length), "base64").toString()}`;
}
