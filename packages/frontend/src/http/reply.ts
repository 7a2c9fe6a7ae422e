/** Writes whole answers, the ids among their headers. */
import type { ServerResponse } from "node:http";

/** An answer, and the headers that every one of its request has. Given with the others, not set before: Node then writes them as they are. */
export interface Reply {
  readonly response: ServerResponse;
  readonly commonHeaders: Readonly<Record<string, string>>;
}

export function sendJson(reply: Reply, status: number, body: unknown, headers?: Readonly<Record<string, string>>): void {
  send(reply, status, "application/json", JSON.stringify(body), headers);
}

export function sendText(reply: Reply, status: number, contentType: string, text: string): void {
  send(reply, status, contentType, text);
}

/** Of statuses that Node has no phrase for. */
const reasons: Readonly<Record<number, string>> = { 529: "Overloaded" };

// As a string, body and head leave in one write; a Buffer would cost a second one.
function send(
  { response, commonHeaders }: Reply,
  status: number,
  contentType: string,
  text: string,
  headers?: Readonly<Record<string, string>>,
): void {
  const reason = reasons[status];
  if (reason !== undefined) response.statusMessage = reason;
  response.writeHead(status, { ...commonHeaders, "content-type": contentType, "content-length": Buffer.byteLength(text), ...headers });
  response.end(text);
}
