/** Request bodies: the right type, JSON, and a clear word when they are not. */
import { RuntimeError } from "@dyn/runtime";
import { parseJson } from "./exact-json.ts";
import { findJsonProblem } from "./json-position.ts";
import { assertJsonSize } from "./json-size.ts";

const jsonType = /^application\/(?:[\w.+-]+\+)?json(?:\s*;|$)/i;

/** Whole numbers beyond 2^53 that are fields of the body itself are bigints. @throws RuntimeError `unsupported_media_type` or `invalid_argument`. */
export function parseJsonBody(contentType: string | undefined, body: unknown): unknown {
  if (contentType === undefined || !jsonType.test(contentType)) throw toMediaTypeError(contentType);
  if (!Buffer.isBuffer(body) || body.length === 0) throw new RuntimeError("invalid_argument", "the request body is empty, expected a JSON object");
  assertJsonSize(body);
  const text = body.toString("utf8");
  try {
    return parseJson(text);
  } catch {
    throw new RuntimeError("invalid_argument", `the request body is not valid JSON: ${describeProblem(text)}`); // the parser's words quote it
  }
}

function describeProblem(text: string): string {
  const at = findJsonProblem(text) ?? text.length;
  if (at === text.length) return `it ends too early, after ${at} characters`;
  let [line, lineAt] = [1, 0];
  for (let end = text.indexOf("\n"); end !== -1 && end < at; end = text.indexOf("\n", lineAt)) [line, lineAt] = [line + 1, end + 1];
  return `unexpected character at position ${at} of ${text.length} (line ${line}, column ${at - lineAt + 1})`;
}

/** What a request without JSON is told. */
export function toMediaTypeError(contentType: string | undefined): RuntimeError {
  const got = contentType === undefined ? "none" : JSON.stringify(contentType.slice(0, 128));
  return new RuntimeError("unsupported_media_type", `content-type must be application/json, got ${got}`);
}
