/** Counts, and how sentences have them. */

/** `1 line`, `2 lines`. */
export function countOf(count: number, one: string, many: string = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** Characters of a text as JSON schemas count them: a pair of halves is one. */
export function countCharacters(text: string): number {
  let count = text.length;
  for (let at = 1; at < text.length; at += 1)
    if (isBetween(text.charCodeAt(at), 0xdc00) && isBetween(text.charCodeAt(at - 1), 0xd800)) count -= 1;
  return count;
}

function isBetween(unit: number, first: number): boolean {
  return unit >= first && unit < first + 0x400;
}
