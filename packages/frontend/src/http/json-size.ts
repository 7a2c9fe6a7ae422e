/** What JSON takes, before it is parsed: millions of values, of names, or lists inside lists, take far more than their bytes; and before it is written. */
import { RuntimeError } from "@dyn/runtime";

/** Smaller bodies cannot do harm, and are most of them. */
const smallBytes = 64 * 1024;
const maxDepth = 1_000;
/** Each costs its reader a hundred times its byte: enough for 100 000 messages. */
const maxContainers = 131_072;
/** Members of objects, 1 µs each if all have names of their own. */
const maxMembers = 262_144;
/** Of lists and objects: enough for the token ids of two long contexts. */
const maxValues = 2_097_152;

export const quote = 0x22;
export const comma = 0x2c;
export const colon = 0x3a;
export const openList = 0x5b;
export const closeList = 0x5d;
export const openMap = 0x7b;
export const closeMap = 0x7d;
const backslash = 0x5c;
/** By byte, 1 for those that begin, end or part values: most bytes are others, and one look is enough for them. */
export const isMark: Uint8Array = new Uint8Array(256);
for (const mark of [quote, comma, colon, openList, closeList, openMap, closeMap]) isMark[mark] = 1;

/** @throws RuntimeError `invalid_argument`. What is no JSON at all is for the parser to say. */
export function assertJsonSize(body: Buffer): void {
  if (body.length <= smallBytes) return;
  let [depth, containers, members, values] = [0, 0, 0, 1];
  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at] ?? 0; // never beyond the end
    if (isMark[byte] === 0) continue;
    if (byte === quote) at = endOfText(body, at);
    else if (byte === comma) {
      values += 1;
      if (values > maxValues) throw toError(`holds more than ${maxValues} values`);
    } else if (byte === colon) {
      members += 1;
      if (members > maxMembers) throw toError(`holds more than ${maxMembers} fields`);
    } else if (byte === closeList || byte === closeMap) depth -= 1;
    else {
      depth += 1;
      containers += 1;
      if (depth > maxDepth) throw toError(`is nested deeper than ${maxDepth} levels`);
      if (containers > maxContainers) throw toError(`holds more than ${maxContainers} lists and objects`);
    }
  }
}

/** Bytes looked at here before native code looks for a quote: to ask it costs as much. */
const nearBytes = 64;

/** The index of the quote that ends the text begun at `from`, or of the end of the body. */
export function endOfText(body: Buffer, from: number): number {
  for (let at = from + 1; at < body.length;) {
    for (const end = at + nearBytes; at < end; at += 1) {
      if (body[at] === quote) return at;
      if (body[at] === backslash) at += 1;
    }
    const next = body.indexOf(quote, at);
    if (next === -1) break;
    let escapes = next;
    while (escapes > at && body[escapes - 1] === backslash) escapes -= 1;
    if ((next - escapes) % 2 === 0) return next;
    at = next + 1;
  }
  return body.length;
}

/** Characters that are written at a time to be counted. */
const sliceChars = 64 * 1024;

/** Most deltas are a short word of plain characters: to write one as JSON only to count it would cost as much as sending it. */
const shortChars = 64;

/** Bytes of a text inside a JSON text, which has six for some characters of one; counted no further than just beyond `most`. */
export function countJsonBytes(text: string, most: number): number {
  if (text.length <= shortChars && isPlain(text)) return text.length;
  let bytes = 0;
  for (let at = 0; at < text.length && bytes <= most; at += sliceChars) {
    bytes += Buffer.byteLength(JSON.stringify(text.slice(at, at + sliceChars))) - 2; // without the quotes
  }
  return bytes;
}

function toError(problem: string): RuntimeError {
  return new RuntimeError("invalid_argument", `the request body ${problem}`);
}

// True if each character is one byte of JSON.
function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) return false;
  }
  return true;
}
