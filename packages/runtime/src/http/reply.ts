/** Writes whole answers, the ids among their headers. */
import type { ServerResponse } from "node:http";
import type { RuntimeError } from "../errors.ts";
import type { MemoryShare } from "../memory-budget.ts";
import { MediaTypeError } from "./malformed.ts";

/** An answer, and the headers that every one of its request has. Given with the others, not set before: Node then writes them as they are. */
export interface Reply {
  readonly response: ServerResponse;
  /** What the request has taken of the memory, until its answer is out. */
  readonly memory: MemoryShare;
  readonly commonHeaders: Readonly<Record<string, string>>;
}

/** @throws RuntimeError `overloaded` if there is no memory for it; nothing is sent then. */
export function sendJson(
  reply: Reply,
  status: number,
  body: unknown,
  headers?: Readonly<Record<string, string>>,
): void {
  const text = JSON.stringify(body);
  write(reply, status, "application/json", text, takeFor(reply, text, false), headers);
}

export interface PageOptions {
  /** It leaves the last quarter of the memory to others: strangers may ask for it, and not read it. Default false. */
  readonly isModest?: boolean;
  /** Besides those of every answer. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A page. @throws as `sendJson`. */
export function sendPage(
  reply: Reply,
  contentType: string,
  text: string,
  { isModest = false, headers }: PageOptions = {},
): void {
  write(reply, 200, contentType, text, takeFor(reply, text, isModest), headers);
}

/** A page that takes no memory of what requests have. */
export function sendUncounted(reply: Reply, contentType: string, text: string): void {
  write(reply, 200, contentType, text, Buffer.byteLength(text));
}

/** Of statuses that Node has no phrase for. */
const reasons: Readonly<Record<number, string>> = { 529: "Overloaded" };

/** Smaller answers are not counted: there must always be room for one that says no. */
const smallBytes = 16 * 1024;

// Until it has been read. @returns its length.
function takeFor({ memory }: Reply, text: string, isModest: boolean): number {
  const bytes = Buffer.byteLength(text);
  if (bytes > smallBytes) memory.take(bytes, isModest);
  return bytes;
}

// As a string, body and head leave in one write; a Buffer would cost a second one.
function write(
  { response, commonHeaders }: Reply,
  status: number,
  contentType: string,
  text: string,
  bytes: number,
  headers?: Readonly<Record<string, string>>,
): void {
  const reason = reasons[status];
  if (reason !== undefined) response.statusMessage = reason;
  response.writeHead(status, {
    ...commonHeaders,
    "content-type": contentType,
    "content-length": bytes,
    ...headers,
  });
  response.end(isLatin(headers) ? Buffer.from(text) : text);
}

// Node writes the head in the encoding of a string that goes with it, and headers that a worker gives may have characters of Latin-1.
function isLatin(headers: Readonly<Record<string, string>> | undefined): boolean {
  return headers !== undefined && Object.values(headers).some((value) => /[\x80-\xff]/.test(value));
}

/** Headers of the answer that tells an error. The official clients try every 5xx again: they say when, or that it is of no use. */
export function toErrorHeaders(error: RuntimeError): Readonly<Record<string, string>> {
  const { code, retryable, retryAfterMs } = error;
  if (error instanceof MediaTypeError) return error.headers;
  if (retryAfterMs !== undefined) return { "retry-after": String(Math.ceil(retryAfterMs / 1_000)) };
  if (retryable) return { "retry-after": "1" };
  return code === "unimplemented" ? { "x-should-retry": "false" } : {};
}
