/** The connections of a gate: what is known of each, and how one ends. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { readOn } from "./slices.ts";
import type { Queue } from "./turns.ts";

/** How long a peer that was told to go may take to hear it, ms. */
export const lingerMs = 1_000;

export interface Connection extends Queue {
  /** What had been read of it when it began to wait for its next request. */
  readBytes: number;
  /** The last answer is on its way, or out. */
  isEnding: boolean;
  readonly open: Set<ServerResponse>;
  latest: IncomingMessage | undefined;
  /** Called once all answers are out. */
  onIdle: (() => void) | undefined;
}

export interface Connections {
  /** Those that are open. */
  readonly sockets: ReadonlySet<Socket>;
  readonly connectionOf: (socket: Socket) => Connection;
}

/** Begin with none. `onClose` is told of each that has closed. */
export function rememberConnections(onClose: (connection: Connection, socket: Socket) => void): Connections {
  const sockets = new Set<Socket>();
  const connections = new WeakMap<Socket, Connection>();
  const create = (socket: Socket): Connection => {
    const connection: Connection = {
      isEnding: false,
      open: new Set(),
      waiting: [],
      latest: undefined,
      readBytes: 0,
      onIdle: undefined,
    };
    connections.set(socket, connection);
    if (!socket.destroyed) sockets.add(socket);
    socket.once("close", () => {
      sockets.delete(socket);
      onClose(connection, socket);
    });
    return connection;
  };
  return { sockets, connectionOf: (socket) => connections.get(socket) ?? create(socket) };
}

/** Have it end after this answer, which is the latest. */
export function endWith(connection: Connection, last: ServerResponse): void {
  connection.isEnding = true;
  last.setHeader("connection", "close");
}

/** Have each end after its latest answer, unless the head of that is out and has promised more. */
export function endWithLatest({ sockets, connectionOf }: Connections): void {
  for (const connection of [...sockets].map(connectionOf)) {
    const latest = [...connection.open].at(-1);
    if (latest && !latest.headersSent) endWith(connection, latest);
  }
}

/** End those of which nothing has come since their last answer; with `isPatient`, none that has asked for nothing yet. */
export function endWaiting({ sockets, connectionOf }: Connections, isPatient: boolean): void {
  for (const socket of sockets) {
    const connection = connectionOf(socket);
    const { isEnding, open, latest, readBytes } = connection;
    if (isEnding || open.size > 0 || socket.bytesRead > readBytes || (isPatient && !latest)) continue;
    endAfterAnswers(connection, socket, noAnswer);
  }
}

/** For a connection that has been told all it is to hear. */
export const noAnswer = (): string => "";

/** Have it end after the answers that are under way and one more: before them it would be taken for one of theirs. */
export function endAfterAnswers(connection: Connection, socket: Socket, toText: () => string): void {
  connection.isEnding = true;
  connection.onIdle = () => endSocket(socket, toText());
  if (connection.open.size === 0) connection.onIdle();
}

/** End it with these bytes. Not closed at once: what has not been read yet would make the system throw the answer away. */
export function endSocket(socket: Socket, answer: string): void {
  if (!socket.writable) return void socket.destroy();
  socket.end(answer);
  readOn(socket);
  const timer = setTimeout(() => socket.destroy(), lingerMs).unref();
  socket.once("close", () => clearTimeout(timer));
}
