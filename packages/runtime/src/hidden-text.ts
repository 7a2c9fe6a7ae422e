/** Characters that a terminal obeys or nobody sees: written as `\uXXXX`, wherever a text of somebody else's goes to a terminal or a log. */

// Controls (C0, DEL, C1), ends of lines and paragraphs, halves of characters, and what Unicode calls default ignorable: marks and changes of the writing
// direction, zero-width characters, U+FEFF, soft hyphens, tag characters, variation selectors. U+FFF9 to U+FFFB put text between text.
// After the bar stays what languages need where they need it: joiners within Arabic and Indic words and within emoji, the selectors of an emoji and of a
// Mongolian letter. One each: what follows a joiner or a selector is no such place. Sources: UAX 31 (2.3), UTS 51 (1.4).
const needed = String.raw`[\p{M}\p{sc=Arab}\p{ExtPict}\p{EMod}][\u200c\u200d]|\p{ExtPict}[\ufe0e\ufe0f]|[0-9#*]\ufe0f(?=\u20e3)|\p{sc=Mong}[\u180b-\u180f]`;
const hidden = new RegExp(String.raw`[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{DI}\ufff9-\ufffb](?<!${needed})`, "gu");
const notPlain = /[^ -~]/;

/** True if `escapeHidden` would change the text. */
export function hasHidden(text: string): boolean {
  return notPlain.test(text) && text.search(hidden) >= 0;
}

/** The text with `\uXXXX` for every hidden character, one per UTF-16 unit: JSON that is escaped says the same. */
export function escapeHidden(text: string): string {
  return notPlain.test(text) ? text.replace(hidden, toEscapes) : text;
}

function toEscapes(character: string): string {
  let escapes = "";
  for (let at = 0; at < character.length; at += 1)
    escapes += `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`;
  return escapes;
}
