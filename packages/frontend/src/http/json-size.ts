/** What a text takes as JSON, before it is written. */

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

// True if each character is one byte of JSON.
function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) return false;
  }
  return true;
}
