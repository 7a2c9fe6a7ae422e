/** The beginning of a text that is kept for longer than the text itself, and what is shown of a value. */

/** V8 copies slices that are shorter than this: https://chromium.googlesource.com/v8/v8/+/refs/heads/main/src/objects/string.h (SlicedString::kMinLength). */
const minSliceChars = 13;

/** At most the first `maxChars` characters (default all), as a copy. A slice would keep the whole text in memory, for V8 makes slices point into it.
 *  Halves of characters become U+FFFD. */
export function excerpt(text: string, maxChars: number = Number.POSITIVE_INFINITY): string {
  const beginning = text.length > maxChars ? text.slice(0, maxChars) : text;
  return beginning.length < minSliceChars ? beginning.toWellFormed() : Buffer.from(beginning).toString();
}

const maxShownChars = 64;

/** A value of somebody else's, in the words of an error: short, whatever it is. */
export function describeValue(value: unknown): string {
  if (value === null || value === undefined || typeof value === "boolean" || typeof value === "number")
    return String(value);
  if (typeof value === "string") return JSON.stringify(excerpt(value, maxShownChars));
  return Array.isArray(value) ? "a list" : `a value of type ${typeof value}`;
}
