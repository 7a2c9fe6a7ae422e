/** Lists in sentences. */

const maxShown = 4;

/** The first few, and how many more there are. */
export function listSome(texts: readonly string[]): string {
  const shown = texts.slice(0, maxShown).join(", ");
  return texts.length > maxShown ? `${shown} and ${texts.length - maxShown} more` : shown;
}
