/** The bytes of a request's body as text: UTF-8, or a clear word where it is not. */
import { isUtf8 } from "node:buffer";
import { RuntimeError } from "../errors.ts";
import { MediaTypeError } from "./malformed.ts";

const utf8Names: ReadonlySet<string> = new Set(["utf-8", "utf8"]);
/** Bytes of a character. */
const lengths = [1, 2, 3, 4];

/** @throws MediaTypeError, with `headers`, if a content-type names another charset than UTF-8. */
export function checkCharset(contentType: string | undefined, headers?: Readonly<Record<string, string>>): void {
  if (contentType === undefined || !contentType.includes(";")) return;
  for (const [, quoted, token = ""] of contentType.matchAll(/;\s*charset\s*=\s*(?:"([^"]*)"|([^;\s]*))/gi)) {
    const name = quoted ?? token;
    if (!utf8Names.has(name.toLowerCase()))
      throw new MediaTypeError(
        `the charset of content-type must be utf-8, got ${JSON.stringify(name.slice(0, 128))}`,
        headers,
      );
  }
}

/** Text without its byte order mark. @throws RuntimeError `invalid_argument` that says which byte is none of UTF-8. */
export function decodeText(body: Buffer): string {
  const [first, second, third] = body;
  // No text begins with a NUL, or has it as its second character, but for what UTF-16 and UTF-32 make of ASCII.
  const isWide =
    body.length >= 2 &&
    (first === 0 || second === 0 || (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff));
  if (isWide)
    throw new RuntimeError("invalid_argument", "the request body is not UTF-8: it seems to be UTF-16 or UTF-32");
  if (!isUtf8(body)) {
    const at = findBroken(body);
    const byte = (body[at] ?? 0).toString(16).padStart(2, "0");
    const guess = first === 0x1f && second === 0x8b ? "; it looks like gzip, which content-encoding must say" : "";
    throw new RuntimeError(
      "invalid_argument",
      `the request body is not UTF-8: unexpected byte 0x${byte} at position ${at} of ${body.length}${guess}`,
    );
  }
  return body.toString("utf8", first === 0xef && second === 0xbb && third === 0xbf ? 3 : 0);
}

// The place of the first bytes that are no character, by halves: the checker of the platform only says that there are some.
function findBroken(body: Buffer): number {
  let [good, bad] = [0, body.length]; // text up to the one, not up to the other
  for (;;) {
    const middle = toBoundary(body, Math.floor((good + bad) / 2), good);
    if (middle === good) break;
    if (isUtf8(body.subarray(good, middle))) good = middle;
    else bad = middle;
  }
  let length: number | undefined = 0;
  do {
    good += length;
    length = lengths.find((each) => good + each <= body.length && isUtf8(body.subarray(good, good + each)));
  } while (length !== undefined);
  return good;
}

// The start of a character, if one is near; among bytes that only continue characters any place will do.
function toBoundary(body: Buffer, from: number, least: number): number {
  let at = from;
  while (at > least && at > from - 3 && ((body[at] ?? 0) & 0xc0) === 0x80) at -= 1;
  return at;
}
