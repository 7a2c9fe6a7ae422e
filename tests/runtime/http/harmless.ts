/** The harmless neighbours of what is refused: bytes that look odd, and are requests. */
import { get, line, post, postChunks, smuggled, whole } from "./request-bytes.ts";

/** What may be written so: the requests are handled, in their order. */
export interface Served {
  readonly name: string;
  readonly bytes: string;
  /** Method, path and body of what is handled. */
  readonly handled: readonly string[];
}

const post5 = "POST /v1/messages hello";
const next = "GET /smuggled ";

/** Here the second request is meant as one. */
export const served: readonly Served[] = [
  { name: "two requests at once", bytes: get("Host: localhost"), handled: ["GET /v1/models ", next] },
  { name: "a body by its length", bytes: post("Content-Length: 5"), handled: [post5, next] },
  { name: "a length with zeros before it", bytes: post("Content-Length: 0005"), handled: [post5, next] },
  { name: "a body in chunks", bytes: postChunks(whole), handled: [post5, next] },
  {
    name: "chunked in other letters, between blanks",
    bytes: postChunks(whole, "Transfer-Encoding:\tcHuNkEd "),
    handled: [post5, next],
  },
  { name: "a chunk with an extension", bytes: postChunks('5;a="b;c"\r\nhello\r\n0\r\n\r\n'), handled: [post5, next] },
  {
    name: "a chunk's size with zeros before it",
    bytes: postChunks("000005\r\nhello\r\n0\r\n\r\n"),
    handled: [post5, next],
  },
  { name: "a trailer", bytes: postChunks("5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n"), handled: [post5, next] },
  {
    name: "a GET whose body looks like a request",
    bytes: `GET /v1/models HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
    handled: [`GET /v1/models ${smuggled}`],
  },
  {
    name: "a header that looks like one of the body's",
    bytes: post("Transfer_Encoding: chunked", "Content-Length: 5"),
    handled: [post5, next],
  },
  {
    name: "an expectation that is met",
    bytes: post("Expect: 100-continue", "Content-Length: 5"),
    handled: [post5, next],
  },
  {
    name: "an address with the same host",
    bytes: line("GET http://LOCALHOST/v1/models?x=1 HTTP/1.1"),
    handled: ["GET /v1/models?x=1 ", next],
  },
  {
    name: "an address without a path",
    bytes: line("GET http://localhost?x=1 HTTP/1.1"),
    handled: ["GET /?x=1 ", next],
  },
  { name: "OPTIONS *", bytes: line("OPTIONS * HTTP/1.1"), handled: ["OPTIONS * ", next] },
  {
    name: "empty lines before a request",
    bytes: `\r\n\r\n${get("Host: localhost")}`,
    handled: ["GET /v1/models ", next],
  },
  {
    name: "100 headers",
    bytes: get("Host: localhost", ...Array.from({ length: 99 }, (_, index) => `X-${index}: 1`)),
    handled: ["GET /v1/models ", next],
  },
  { name: "an address of IPv6", bytes: get("Host: [::1]:80"), handled: ["GET /v1/models ", next] },
  {
    name: "HTTP/1.0, which ends with its answer",
    bytes: get().replace("HTTP/1.1", "HTTP/1.0"),
    handled: ["GET /v1/models "],
  },
  {
    name: "an offer of another protocol, which is the last request",
    bytes: get("Host: localhost", "Connection: Upgrade", "Upgrade: h2c"),
    handled: ["GET /v1/models "],
  },
  { name: "Connection: close", bytes: get("Host: localhost", "Connection: close"), handled: ["GET /v1/models "] },
];
