/** Bytes on a connection to an HTTP server that it must refuse: malformed requests, and smuggled ones. */
import { chunked, get, line, post, postChunks, smuggled, whole } from "./request-bytes.ts";

/** The first answer is a refusal and the last; nothing is handled but at most the refused request. */
export interface Refused {
  readonly name: string;
  /** Characters are bytes. */
  readonly bytes: string;
  readonly status: number;
}

function table(status: number, entries: Readonly<Record<string, string>>): readonly Refused[] {
  return Object.entries(entries).map(([name, bytes]) => ({ name, bytes, status }));
}

const length = table(400, {
  "Content-Length before Transfer-Encoding": postChunks("0\r\n\r\n", "Content-Length: 6", chunked),
  "Transfer-Encoding before Content-Length": postChunks("0\r\n\r\n", chunked, "Content-Length: 4"),
  "two Content-Lengths that differ": post("Content-Length: 5", "Content-Length: 6"),
  "two Content-Lengths that agree": post("Content-Length: 5", "content-length: 5"),
  "Content-Length +5": post("Content-Length: +5"),
  "Content-Length -5": post("Content-Length: -5"),
  "Content-Length 5 5": post("Content-Length: 5 5"),
  "Content-Length in hex": post("Content-Length: 0x5"),
  "Content-Length 5.0": post("Content-Length: 5.0"),
  "Content-Length 5e0": post("Content-Length: 5e0"),
  "Content-Length as a list": post("Content-Length: 5, 5"),
  "Content-Length as a list without blanks": post("Content-Length: 5,5"),
  "Content-Length without a value": post("Content-Length:"),
  "Content-Length over 2^64": post("Content-Length: 18446744073709551621"),
  "Content-Length after a vertical tab": post("Content-Length: \u000b5"),
  "Content-Length before a form feed": post("Content-Length: 5\u000c"),
  "Content-Length before a NUL": post("Content-Length: 5\0"),
  "a blank before Content-Length's colon": post("Content-Length : 5"),
});

const coding = table(400, {
  "Transfer-Encoding xchunked": postChunks(whole, "Transfer-Encoding: xchunked"),
  "Transfer-Encoding chunked, identity": postChunks(whole, "Transfer-Encoding: chunked, identity"),
  "Transfer-Encoding identity": postChunks("", "Transfer-Encoding: identity"),
  "Transfer-Encoding identity with Content-Length": post("Transfer-Encoding: identity", "Content-Length: 5"),
  "Transfer-Encoding chunked, chunked": postChunks(whole, "Transfer-Encoding: chunked, chunked"),
  "Transfer-Encoding after a vertical tab": postChunks(whole, "Transfer-Encoding: \u000bchunked"),
  "Transfer-Encoding before a form feed": postChunks(whole, "Transfer-Encoding: chunked\u000c"),
  "Transfer-Encoding in quotes": postChunks(whole, 'Transfer-Encoding: "chunked"'),
  "Transfer-Encoding with a parameter": postChunks(whole, "Transfer-Encoding: chunked;q=1"),
  "Transfer-Encoding without a value": postChunks(whole, "Transfer-Encoding:"),
  "Transfer-Encoding with a comma behind": postChunks(whole, "Transfer-Encoding: chunked,"),
  "a blank before Transfer-Encoding's colon": postChunks(whole, "Transfer-Encoding : chunked"),
  "a tab before Transfer-Encoding's colon": postChunks(whole, "Transfer-Encoding\t: chunked"),
  "two Transfer-Encodings": postChunks(whole, chunked, chunked),
  "two Transfer-Encodings, the last identity": postChunks(whole, chunked, "Transfer-Encoding: identity"),
  "two Transfer-Encodings, the first identity": postChunks(whole, "Transfer-Encoding: identity", chunked),
  "Transfer-Encoding on a folded line": postChunks(whole, "Transfer-Encoding:", " chunked"),
  "Transfer-Encoding in HTTP/1.0": postChunks(whole).replace("HTTP/1.1", "HTTP/1.0"),
});

const foreignCoding = table(501, {
  "Transfer-Encoding gzip, chunked": postChunks(whole, "Transfer-Encoding: gzip, chunked"),
  "Transfer-Encoding with a comma before": postChunks(whole, "Transfer-Encoding: , chunked"),
});

const chunks = table(400, {
  "a chunk of -1": postChunks("-1\r\nhello\r\n0\r\n\r\n"),
  "a chunk of +5": postChunks("+5\r\nhello\r\n0\r\n\r\n"),
  "a chunk of 0x5": postChunks("0x5\r\nhello\r\n0\r\n\r\n"),
  "a chunk over 2^64": postChunks("10000000000000005\r\nhello\r\n0\r\n\r\n"),
  "a chunk without a size": postChunks("\r\nhello\r\n0\r\n\r\n"),
  "a chunk with an extension and no size": postChunks(";a\r\nhello\r\n0\r\n\r\n"),
  "a blank before a chunk's size": postChunks(" 5\r\nhello\r\n0\r\n\r\n"),
  "a blank behind a chunk's size": postChunks("5 \r\nhello\r\n0\r\n\r\n"),
  "a blank before a chunk's extension": postChunks("5 ;a\r\nhello\r\n0\r\n\r\n"),
  "a chunk's extension with LF": postChunks("5;a\nb\r\nhello\r\n0\r\n\r\n"),
  "a chunk's extension with CR": postChunks("5;a\rb\r\nhello\r\n0\r\n\r\n"),
  "no CRLF behind a chunk": postChunks("5\r\nhello0\r\n\r\n"),
  "more than its size in a chunk": postChunks("5\r\nhelloXX0\r\n\r\n"),
  "LF alone behind a chunk": postChunks("5\r\nhello\n0\r\n\r\n"),
  "LF alone behind a chunk's size": postChunks("5\nhello\r\n0\r\n\r\n"),
  "CR alone behind a chunk's size": postChunks("5\rhello\r\n0\r\n\r\n"),
  "LF alone behind the last chunk's size": postChunks("5\r\nhello\r\n0\n\r\n"),
  "LF alone at the end of the chunks": postChunks("5\r\nhello\r\n0\r\n\n"),
  "CR alone at the end of the chunks": postChunks("5\r\nhello\r\n0\r\n\r"),
  "Content-Length as a trailer": postChunks("5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n"),
  "Transfer-Encoding as a trailer": postChunks("5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),
  "a trailer with a bad name": postChunks("5\r\nhello\r\n0\r\nX T: 1\r\n\r\n"),
  "a folded trailer": postChunks("5\r\nhello\r\n0\r\nX: 1\r\n 2\r\n\r\n"),
});

const bigExtension = table(413, {
  "a chunk's extension of 20 000 bytes": postChunks(`5;a=${"x".repeat(20_000)}\r\nhello\r\n0\r\n\r\n`),
});

const lines = table(400, {
  "a folded header": post("X-A: a", " b", "Content-Length: 5"),
  "a header folded with a tab": post("X-A: a", "\tb", "Content-Length: 5"),
  "a blank before the first header": get(" Host: localhost"),
  "LF alone everywhere": `GET /v1/models HTTP/1.1\nHost: localhost\n\n${smuggled}`,
  "LF alone behind the request line": `GET /v1/models HTTP/1.1\nHost: localhost\r\n\r\n${smuggled}`,
  "LF alone behind a header": `GET /v1/models HTTP/1.1\r\nHost: localhost\nX-A: b\r\n\r\n${smuggled}`,
  "LF alone at the end of the headers": `GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\n${smuggled}`,
  "CR alone behind a header": `GET /v1/models HTTP/1.1\r\nHost: localhost\rX-A: b\r\n\r\n${smuggled}`,
  "CR alone at the end of the headers": `GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r${smuggled}`,
  "CR CR LF behind a header": `GET /v1/models HTTP/1.1\r\nHost: localhost\r\r\n\r\n${smuggled}`,
  "NUL in a header's value": get("Host: localhost", "X-A: a\0b"),
  "NUL in a header's name": get("Host: localhost", "X\0A: a"),
  "a control character in a header's value": get("Host: localhost", "X-A: a\u0001b"),
  "DEL in a header's value": get("Host: localhost", "X-A: a\u007fb"),
  "a blank in a header's name": get("Host: localhost", "X A: b"),
  "a header without a name": get("Host: localhost", ": b"),
  "a bracket in a header's name": get("Host: localhost", "X(A): b"),
  "a byte over 127 in a header's name": get("Host: localhost", "X\u00e9: b"),
  "a header without a colon": get("Host: localhost", "garbage"),
  "a blank before a header's colon": get("Host: localhost", "X-A : b"),
  "two Authorizations": get("Host: localhost", "Authorization: Bearer x", "authorization: Bearer y"),
  "two Content-Types": get("Host: localhost", "Content-Type: a/b", "Content-Type: a/b"),
});

const hosts = table(400, {
  "no Host": get("X-A: a"),
  "two Hosts": get("Host: localhost", "Host: b"),
  "two Hosts that agree": get("Host: localhost", "Host: localhost"),
  "a Host with a blank": get("Host: localhost b"),
  "a Host with a user": get("Host: user@a"),
  "a Host with a path": get("Host: localhost/b"),
  "a list of Hosts": get("Host: localhost, b"),
  "a Host with a port that is none": get("Host: localhost:80x"),
  "a Host with an open bracket": get("Host: [::1"),
});

const requestLines = table(400, {
  "an address with another host": line("GET http://b/v1/models HTTP/1.1"),
  "an address with a user": line("GET http://user@a/v1/models HTTP/1.1"),
  "an address of FTP": line("GET ftp://a/v1/models HTTP/1.1"),
  "an address without a host": line("GET http:///v1/models HTTP/1.1"),
  "GET *": line("GET * HTTP/1.1"),
  "a path without a slash": line("GET v1/models HTTP/1.1"),
  "a line without a version": line("GET /v1/models"),
  "a line without a version, and no headers": `GET /v1/models\r\n\r\n${smuggled}`,
  "a version that never stood in a line": line("GET /v1/models HTTP/0.9"),
  "a blank and no version": line("GET /v1/models "),
  "a protocol without a version": line("GET /v1/models HTTP/"),
  "a protocol that is none": line("GET /v1/models FROB/1.1"),
  "a method alone": line("GET"),
  "a method in quotes": line('"GET" /v1/models HTTP/1.1'),
  "HTTP/1.2": line("GET /v1/models HTTP/1.2"),
  "HTTP/1.10": line("GET /v1/models HTTP/1.10"),
  "HTTP/11": line("GET /v1/models HTTP/11"),
  "a version in small letters": line("GET /v1/models http/1.1"),
  "a tab behind the method": line("GET\t/v1/models HTTP/1.1"),
  "a tab behind the path": line("GET /v1/models\tHTTP/1.1"),
  "a blank behind the version": line("GET /v1/models HTTP/1.1 "),
  "a blank before the method": line(" GET /v1/models HTTP/1.1"),
  "a blank in the path": line("GET /v1/models x HTTP/1.1"),
  "NUL in the path": line("GET /v1/mod\0els HTTP/1.1"),
  "a control character in the path": line("GET /v1/mod\u0001els HTTP/1.1"),
  "a byte over 127 in the path": line("GET /v1/mod\u00e9ls HTTP/1.1"),
});

const methods = table(501, {
  CONNECT: line("CONNECT a:80 HTTP/1.1"),
  "CONNECT to a path": line("CONNECT /v1/models HTTP/1.1"),
  "a method in small letters": line("get /v1/models HTTP/1.1"),
  "a method in mixed letters": line("Get /v1/models HTTP/1.1"),
  "an unknown method": line("FROB /v1/models HTTP/1.1"),
  "an unknown method on a path without a route": line("FROB /nothing HTTP/1.1"),
  "a method with something behind it": line("GETX /v1/models HTTP/1.1"),
  "a method of all signs": line("X-!#$%&'*+.^_`|~9 /v1/models HTTP/1.1"),
  "a method of RTSP": line("DESCRIBE /v1/models HTTP/1.1"),
});

const versions = table(505, {
  "HTTP/2.0": line("GET /v1/models HTTP/2.0"),
});

const tooMany = table(431, {
  "101 headers": get("Host: localhost", ...Array.from({ length: 100 }, (_, index) => `X-${index}: 1`)),
  "the Content-Length behind 100 headers": post(
    ...Array.from({ length: 100 }, (_, index) => `X-${index}: 1`),
    "Content-Length: 5",
  ),
  "headers of 20 000 bytes": get("Host: localhost", `X-A: ${"x".repeat(20_000)}`),
  "a path of 20 000 bytes": line(`GET /${"x".repeat(20_000)} HTTP/1.1`),
});

/** What is told from its whole line: in pieces it may be taken for an unknown method. */
export const refusedAtOnce: readonly Refused[] = table(400, {
  "an unknown method alone": line("FROB"),
  "an unknown method and no version": line("FROB /v1/models"),
  "an unknown method and no protocol": line("FROB /v1/models x"),
  "words that are no request line": line("hello, is there anybody?"),
});

/** Everything that is refused, at once or in pieces. */
export const refused: readonly Refused[] = [
  ...length,
  ...coding,
  ...foreignCoding,
  ...chunks,
  ...bigExtension,
  ...lines,
  ...hosts,
  ...requestLines,
  ...methods,
  ...versions,
  ...tooMany,
];
