/** The bytes of a request to an HTTP server, with a second one behind it. Characters are bytes. */

/** Stands behind the first request: where that is refused, it must never be handled. */
export const smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

/** The header of a body in chunks. */
export const chunked = "Transfer-Encoding: chunked";
/** Such a body. */
export const whole = "5\r\nhello\r\n0\r\n\r\n";

/** A request to `path` with these header lines, a body, and the smuggled one behind it. */
function toBytes(method: string, path: string, lines: readonly string[], body: string): string {
  return [`${method} ${path} HTTP/1.1`, ...lines, "", body + smuggled].join("\r\n");
}

// The type is right: what is wrong with the rest is to be told.
const start = ["Host: localhost", "Content-Type: application/json"];

/** A POST with these header lines and a body of five bytes. */
export function post(...lines: readonly string[]): string {
  return toBytes("POST", "/v1/messages", [...start, ...lines], "hello");
}

/** A POST with this body, in chunks unless header lines say otherwise. */
export function postChunks(body: string, ...lines: readonly string[]): string {
  return toBytes("POST", "/v1/messages", [...start, ...(lines.length > 0 ? lines : [chunked])], body);
}

/** A GET with these header lines. */
export function get(...lines: readonly string[]): string {
  return toBytes("GET", "/v1/models", lines, "");
}

/** A request with this first line. */
export function line(first: string): string {
  return `${first}\r\nHost: localhost\r\n\r\n${smuggled}`;
}
