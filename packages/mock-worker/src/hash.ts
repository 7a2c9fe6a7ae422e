/** Hashes in place of chance: the same values give the same numbers at every worker. */

/** FNV-1a, begun at a seed; texts are added to it one by one. */
export function beginHash(seed: number): number {
  return (0x811c9dc5 ^ seed) >>> 0;
}

/** Add the UTF-16 units of a text. @returns a whole number below 2^32. */
export function addText(hash: number, text: string): number {
  let added = hash;
  for (let at = 0; at < text.length; at += 1) added = Math.imul(added ^ text.charCodeAt(at), 0x01000193);
  return added >>> 0;
}

/** Spread it over all bits: hashes of short texts differ in few. @returns a whole number below 2^32. */
export function mix(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

/** A number from 0 to below 1. */
export function toUnit(hash: number): number {
  return mix(hash) / 2 ** 32;
}

/** A hash of the three numbers, from 0 to below 1 (the mixing step of splitmix32). */
export function toShare(seed: number, request: number, index: number): number {
  return toUnit((seed ^ Math.imul(request, 0x9e3779b9) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0);
}
