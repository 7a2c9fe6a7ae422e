/** What to say to bytes that Node's parser does not take for an HTTP request, and what they seem to be. */
import type { ErrorCode, ErrorTraits } from "../error-table.ts";
import { RuntimeError } from "../errors.ts";

/** An error of Node's HTTP parser. */
export interface ParserError extends Error {
  readonly code?: string;
  /** What it missed, in its own words. */
  readonly reason?: string;
  /** The bytes it was reading. */
  readonly rawPacket?: unknown;
  /** How many of them it took. */
  readonly bytesParsed?: number;
}

export interface Malformed {
  readonly status: number;
  /** Reason phrase of the status line. */
  readonly reason: string;
  readonly message: string;
}

const codes: Readonly<Record<number, ErrorCode>> = { 421: "misdirected", 501: "unimplemented" };

/** A request that is answered with a status of HTTP's own, whatever its code's status. */
export class RequestFault extends RuntimeError {
  readonly status: number;

  constructor(status: number, message: string) {
    super(codes[status] ?? "invalid_argument", message);
    this.status = status;
  }

  override get traits(): ErrorTraits {
    return { ...super.traits, status: this.status };
  }
}

/** A body that is written in a way that cannot be read. */
export class MediaTypeError extends RuntimeError {
  /** Of the answer: what could be. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(message: string, headers: Readonly<Record<string, string>> = {}) {
    super("unsupported_media_type", message);
    this.headers = headers;
  }
}

const badRequest = { status: 400, reason: "Bad Request" } as const;
const notImplemented = { status: 501, reason: "Not Implemented" } as const;

/** Every answer there is, for the page of errors too. */
export const malformedRequests: Readonly<
  Record<"headers" | "chunks" | "late" | "http2" | "tls" | "connect" | "method" | "framing" | "other", Malformed>
> = {
  headers: {
    status: 431,
    reason: "Request Header Fields Too Large",
    message: "the request's path and headers are larger than the limit",
  },
  chunks: { status: 413, reason: "Payload Too Large", message: "the extensions of the body's chunks are too large" },
  late: { status: 408, reason: "Request Timeout", message: "the request did not arrive in time" },
  http2: { ...badRequest, message: "this looks like HTTP/2; only HTTP/1.1 is spoken here" },
  tls: {
    ...badRequest,
    message: "this looks like TLS; only plain HTTP is spoken here: use http://, or a proxy that ends TLS",
  },
  connect: { ...notImplemented, message: "CONNECT is for proxies, this is none" },
  method: {
    ...notImplemented,
    message: "the request's method is not known here; methods are written in capital letters",
  },
  framing: {
    ...badRequest,
    message: "where the body ends is not clear: Content-Length or Transfer-Encoding is not valid, or there are several",
  },
  other: { ...badRequest, message: "the request is not valid HTTP/1.1" },
};

const byCode: Readonly<Record<string, Malformed>> = {
  HPE_HEADER_OVERFLOW: malformedRequests.headers,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: malformedRequests.chunks,
  ERR_HTTP_REQUEST_TIMEOUT: malformedRequests.late,
  HPE_PAUSED_H2_UPGRADE: malformedRequests.http2,
  HPE_INVALID_CONTENT_LENGTH: malformedRequests.framing,
  HPE_UNEXPECTED_CONTENT_LENGTH: malformedRequests.framing,
  HPE_INVALID_TRANSFER_ENCODING: malformedRequests.framing,
};

/** @returns undefined if nobody is left to be told: the connection broke. */
export function describeMalformed(error: ParserError, maxHeaderBytes: number): Malformed | undefined {
  const { code = "", rawPacket } = error;
  if (code === "ECONNRESET" || code === "EPIPE") return undefined;
  const malformed =
    recognise(rawPacket) ??
    byCode[code] ??
    (isUnknownMethod(error) ? malformedRequests.method : malformedRequests.other);
  return malformed === malformedRequests.headers
    ? { ...malformed, message: `${malformed.message} of ${maxHeaderBytes} bytes` }
    : malformed;
}

// By its first bytes: a handshake record of SSL 3 or later, or the preface of HTTP/2.
function recognise(bytes: unknown): Malformed | undefined {
  if (!Buffer.isBuffer(bytes)) return undefined;
  if (bytes[0] === 0x16 && bytes[1] === 0x03) return malformedRequests.tls;
  return bytes.toString("latin1", 0, 12) === "PRI * HTTP/2" ? malformedRequests.http2 : undefined;
}

// From where the method stops being one that the parser knows to the end of the line, or of what has come of it.
const requestLine = /^[\w!#$%&'*+.^`|~-]+(?:$| [^\s]*(?:$| +(?:$|H[TP/\d.]*\r?$)))/;

// RFC 9110 section 15.6.2 has a status for them, and what is no request line at all is a bad request.
function isUnknownMethod({ code, reason, rawPacket, bytesParsed = 0 }: ParserError): boolean {
  // Methods of RTSP are known to the parser: it finds out at the version, and has no code of its own for that.
  if (code === "HPE_INVALID_CONSTANT") return reason === "Invalid method for HTTP/x.x request";
  if (code !== "HPE_INVALID_METHOD" || !Buffer.isBuffer(rawPacket)) return false;
  const end = rawPacket.indexOf("\n", bytesParsed);
  return requestLine.test(rawPacket.toString("latin1", bytesParsed, end === -1 ? rawPacket.length : end));
}
