/** Request bodies: the right type, JSON, and a clear word when they are not. */
import { RuntimeError } from "@dyn/runtime";

const jsonType = /^application\/(?:[\w.+-]+\+)?json(?:\s*;|$)/i;

/** @throws RuntimeError `unsupported_media_type` or `invalid_argument`. */
export function parseJsonBody(contentType: string | undefined, body: unknown): unknown {
  if (contentType === undefined || !jsonType.test(contentType)) throw toMediaTypeError(contentType);
  if (!Buffer.isBuffer(body) || body.length === 0) throw new RuntimeError("invalid_argument", "the request body is empty, expected a JSON object");
  try {
    return JSON.parse(body.toString("utf8")) as unknown;
  } catch (cause) {
    throw new RuntimeError("invalid_argument", `the request body of ${body.length} bytes is not valid JSON`, { cause });
  }
}

/** What a request without JSON is told. */
export function toMediaTypeError(contentType: string | undefined): RuntimeError {
  const got = contentType === undefined ? "none" : JSON.stringify(contentType.slice(0, 128));
  return new RuntimeError("unsupported_media_type", `content-type must be application/json, got ${got}`);
}
