/** A connection to an HTTP server that sends what it is told, byte for byte, and keeps what comes back. */
import { connect, type Socket } from "node:net";

export interface Client extends Disposable {
  readonly socket: Socket;
  /** All that has come; characters are bytes. */
  readonly text: () => string;
  /** Of the answers so far, but for 1xx. */
  readonly statuses: () => number[];
  readonly isClosed: () => boolean;
}

export function dial(port: number, allowHalfOpen = false): Client {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen });
  let text = "";
  let isClosed = false;
  socket.on("error", () => undefined); // a server that refuses may reset
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  socket.on("close", () => (isClosed = true));
  return {
    socket,
    text: () => text,
    statuses: () => [...text.matchAll(/HTTP\/1\.1 ([2-5]\d\d)/g)].map(([, status]) => Number(status)),
    isClosed: () => isClosed,
    [Symbol.dispose]: () => void socket.destroy(),
  };
}
