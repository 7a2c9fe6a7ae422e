/** What to say to bytes that are no HTTP request, and what they seem to be. */
import { maxHeaderSize } from "node:http";

/** An error of Node's HTTP parser. */
export interface ParserError extends Error {
  readonly code?: string;
  /** The bytes it was reading. */
  readonly rawPacket?: unknown;
}

export interface Malformed {
  readonly status: 400 | 408 | 413 | 431;
  /** Reason phrase of the status line. */
  readonly reason: string;
  readonly message: string;
}

const badRequest = { status: 400, reason: "Bad Request" } as const;

/** Every answer there is, for the page of errors too. */
export const malformedRequests: Readonly<Record<"headers" | "chunks" | "late" | "http2" | "tls" | "other", Malformed>> = {
  headers: {
    status: 431,
    reason: "Request Header Fields Too Large",
    message: `the request's path and headers are larger than ${maxHeaderSize} bytes, the limit`,
  },
  chunks: { status: 413, reason: "Payload Too Large", message: "the extensions of the body's chunks are too large" },
  late: { status: 408, reason: "Request Timeout", message: "the request did not arrive in time" },
  http2: { ...badRequest, message: "this looks like HTTP/2; only HTTP/1.1 is spoken here" },
  tls: { ...badRequest, message: "this looks like TLS; only plain HTTP is spoken here: use http://, or a proxy that ends TLS" },
  other: { ...badRequest, message: "the request is not valid HTTP/1.1" },
};

const byCode: Readonly<Record<string, Malformed>> = {
  HPE_HEADER_OVERFLOW: malformedRequests.headers,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: malformedRequests.chunks,
  ERR_HTTP_REQUEST_TIMEOUT: malformedRequests.late,
  HPE_PAUSED_H2_UPGRADE: malformedRequests.http2,
};

/** @returns undefined if nobody is left to be told: the connection broke. */
export function describeMalformed({ code = "", rawPacket }: ParserError): Malformed | undefined {
  if (code === "ECONNRESET" || code === "EPIPE") return undefined;
  return recognise(rawPacket) ?? byCode[code] ?? malformedRequests.other;
}

// By its first bytes: a handshake record of SSL 3 or later, or the preface of HTTP/2.
function recognise(bytes: unknown): Malformed | undefined {
  if (!Buffer.isBuffer(bytes)) return undefined;
  if (bytes[0] === 0x16 && bytes[1] === 0x03) return malformedRequests.tls;
  return bytes.toString("latin1", 0, 12) === "PRI * HTTP/2" ? malformedRequests.http2 : undefined;
}
