/** HTTP as bytes, for what no client library lets through: header lines as they are given, twice, in any case, with any blanks. */
import { once } from "node:events";
import { connect } from "node:net";

export interface RawAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

export interface RawRequest {
  /** Default: a chat completion. */
  readonly requestLine?: string;
  /** Default: localhost. */
  readonly host?: string;
  /** Each without its line end; characters are bytes. */
  readonly headers?: readonly string[];
  readonly body?: string;
}

/** Send one request on a connection of its own, and read until the server closes it. */
export async function sendRaw(
  url: string,
  { requestLine = "POST /v1/chat/completions HTTP/1.1", host = "localhost", headers = [], body = "" }: RawRequest,
): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  const fixed = [
    `host: ${host}`,
    "connection: close",
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
  ];
  const socket = connect(Number(port), hostname);
  socket.on("error", () => undefined); // a server that refuses may reset; what it said before is looked at
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.write(Buffer.from([requestLine, ...fixed, ...headers, "", ""].join("\r\n"), "latin1"));
  socket.write(body);
  await once(socket, "close");
  const text = Buffer.concat(chunks).toString();
  const [head = "", ...rest] = text.split("\r\n\r\n");
  return { status: Number(head.split(" ", 2)[1]), head, body: rest.join("\r\n\r\n") };
}
