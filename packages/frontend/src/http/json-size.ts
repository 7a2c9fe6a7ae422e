/** What JSON takes, before it is parsed: millions of lists, of names, or lists inside lists, take far more than their bytes; and before it is written. */
import { maxContainers, RuntimeError } from "@dyn/runtime";

/** Smaller bodies cannot do harm, and are most of them. */
const smallBytes = 64 * 1024;
const maxDepth = 1_000;
/** Members of objects: the reader looks up the name of each. */
const maxMembers = 4 * maxContainers;

const [quote, backslash, colon, openList, openMap, closeList, closeMap] = Buffer.from('"\\:[{]}');

/** @throws RuntimeError `invalid_argument`. What is no JSON at all is for the parser to say. */
export function assertJsonSize(body: Buffer): void {
  if (body.length <= smallBytes) return;
  let [depth, containers, members] = [0, 0, 0];
  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at];
    if (byte === quote) at = endOfText(body, at);
    else if (byte === closeList || byte === closeMap) depth -= 1;
    else if (byte === colon) {
      members += 1;
      if (members > maxMembers) throw toError(`holds more than ${maxMembers} fields`);
    } else if (byte === openList || byte === openMap) {
      depth += 1;
      containers += 1;
      if (depth > maxDepth) throw toError(`is nested deeper than ${maxDepth} levels`);
      if (containers > maxContainers) throw toError(`holds more than ${maxContainers} lists and objects`);
    }
  }
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

// The index of the quote that ends the text begun at `from`, or of the end of the body.
function endOfText(body: Buffer, from: number): number {
  for (let at = body.indexOf(quote ?? 0, from + 1); at !== -1; at = body.indexOf(quote ?? 0, at + 1)) {
    let escapes = at;
    while (body[escapes - 1] === backslash) escapes -= 1;
    if ((at - escapes) % 2 === 0) return at;
  }
  return body.length;
}

// True if each character is one byte of JSON.
function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) return false;
  }
  return true;
}
