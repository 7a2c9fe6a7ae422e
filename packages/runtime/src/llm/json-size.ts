/** What JSON takes, before it is parsed: millions of values, of names, or lists inside lists, take far more than their bytes. */

/** Smaller texts cannot do harm, and are most of them. */
const smallBytes = 64 * 1024;
/** Levels that the parser and whoever walks what it makes can bear. */
const parsedDepth = 1_000;
/** Each costs its reader a hundred times its byte: enough for 100 000 messages. */
const maxContainers = 131_072;
/** Members of objects, 1 µs each if all have names of their own. */
const maxMembers = 262_144;
/** Of lists and objects: enough for the token ids of two long contexts. */
const maxValues = 2_097_152;

/** Bytes that begin, end or part values. */
export const jsonMarks = {
  quote: 0x22,
  comma: 0x2c,
  colon: 0x3a,
  openList: 0x5b,
  closeList: 0x5d,
  openMap: 0x7b,
  closeMap: 0x7d,
} as const;
const { quote, comma, colon, closeList, closeMap } = jsonMarks;
const backslash = 0x5c;
/** 1 for each of them: most bytes are others, and one look is enough for those. */
export const isJsonMark: Uint8Array = new Uint8Array(256);
for (const mark of Object.values(jsonMarks)) isJsonMark[mark] = 1;

/** @returns what there is too much of in a JSON text, as the end of a sentence that begins with its name. What is no JSON at all is for the parser to say. */
export function findJsonExcess(text: Buffer, maxDepth: number = parsedDepth): string | undefined {
  if (text.length <= smallBytes) return undefined;
  let [depth, containers, members, values] = [0, 0, 0, 1];
  for (let at = 0; at < text.length; at += 1) {
    const byte = text[at] ?? 0; // never beyond the end
    if (isJsonMark[byte] === 0) continue;
    if (byte === quote) at = endOfJsonString(text, at);
    else if (byte === comma) {
      values += 1;
      if (values > maxValues) return `holds more than ${maxValues} values`;
    } else if (byte === colon) {
      members += 1;
      if (members > maxMembers) return `holds more than ${maxMembers} fields`;
    } else if (byte === closeList || byte === closeMap) depth -= 1;
    else {
      depth += 1;
      containers += 1;
      if (depth > maxDepth) return `is nested deeper than ${maxDepth} levels`;
      if (containers > maxContainers) return `holds more than ${maxContainers} lists and objects`;
    }
  }
  return undefined;
}

/** Bytes looked at here before native code looks for a quote: to ask it costs as much. */
const nearBytes = 64;

/** The index of the quote that ends the string begun at `from`, or of the end of the text. */
export function endOfJsonString(text: Buffer, from: number): number {
  for (let at = from + 1; at < text.length;) {
    for (const end = at + nearBytes; at < end; at += 1) {
      if (text[at] === quote) return at;
      if (text[at] === backslash) at += 1;
    }
    const next = text.indexOf(quote, at);
    if (next === -1) break;
    let escapes = next;
    while (escapes > at && text[escapes - 1] === backslash) escapes -= 1;
    if ((next - escapes) % 2 === 0) return next;
    at = next + 1;
  }
  return text.length;
}
