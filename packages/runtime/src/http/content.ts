/** What the headers of a request say of its body: judged before it is read. */
import type { IncomingHttpHeaders } from "node:http";
import { RuntimeError } from "../errors.ts";
import { parseCodings } from "./content-coding.ts";
import { checkCharset } from "./content-text.ts";
import { MediaTypeError } from "./malformed.ts";

/** Of a 415 about the type: what could be read. */
const readable = { accept: "application/json" };
const jsonType = /^application\/(?:\w[\w.+-]*\+)?json\s*(?:;|$)/i;

/** @throws MediaTypeError for what is not said to be JSON in UTF-8, in codings that can be undone; RuntimeError `invalid_argument` for a part of a body. */
export function checkJsonContent(headers: IncomingHttpHeaders): void {
  const { "content-type": type, "content-encoding": encoding, "content-range": range } = headers;
  if (type === undefined || (type !== "application/json" && !jsonType.test(type))) throw toTypeError(type);
  checkCharset(type, readable);
  parseCodings(encoding);
  // RFC 9110 section 14.5: taken for the whole, a part would mean something else.
  if (range !== undefined)
    throw new RuntimeError("invalid_argument", "content-range is not served: a request body must be whole");
}

function toTypeError(type: string | undefined): MediaTypeError {
  const got = type === undefined ? "none" : JSON.stringify(type.slice(0, 128));
  return new MediaTypeError(`content-type must be application/json, got ${got}`, readable);
}

/** Of a body that is text of any type. @throws MediaTypeError as `checkJsonContent`. */
export function checkTextContent({ "content-type": type, "content-encoding": encoding }: IncomingHttpHeaders): void {
  checkCharset(type);
  parseCodings(encoding);
}
