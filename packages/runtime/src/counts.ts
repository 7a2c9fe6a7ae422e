/** Numbers in sentences. */

/** `1 line`, `2 lines`. */
export function countOf(count: number, one: string, many: string = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
