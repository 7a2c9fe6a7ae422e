/** How much of the memory a request takes that is kept. */

const nodeBytes = 32;
/** Levels that are looked at; clients cannot send more. */
const maxDepth = 64;

/** About so many bytes: two for each character, and something for each value. */
export function sizeOf(value: unknown, depth = 0): number {
  if (typeof value === "string") return nodeBytes + 2 * value.length;
  if (typeof value !== "object" || value === null || depth > maxDepth) return nodeBytes;
  let bytes = nodeBytes;
  for (const name in value) {
    if (!Object.hasOwn(value, name)) continue;
    bytes += nodeBytes + sizeOf((value as Readonly<Record<string, unknown>>)[name], depth + 1);
  }
  return bytes;
}
