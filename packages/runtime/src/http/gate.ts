/** The gate of an HTTP server: what becomes of a connection. After a request that is refused here nothing of what follows on it is handled. */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { Server as TlsServer } from "node:tls";
import { limitConnections, type ConnectionLimit } from "./connection-limit.ts";
import {
  endAfterAnswers,
  endSocket,
  endWaiting,
  endWith,
  endWithLatest,
  noAnswer,
  rememberConnections,
  type Connection,
} from "./connections.ts";
import { findFault, toPath } from "./faults.ts";
import { createHostGuard, type HostGuard, type HostRules } from "./hosts.ts";
import { watchIdle } from "./idle.ts";
import type { HttpLimits } from "./limits.ts";
import { describeMalformed, malformedRequests, RequestFault, type Malformed, type ParserError } from "./malformed.ts";
import { readInSlices } from "./slices.ts";
import { createTurns, type Turns } from "./turns.ts";

export interface GateOptions {
  readonly limits: HttpLimits;
  readonly now: () => number;
  /** Default: requests for all hosts are handled. */
  readonly hosts?: HostRules;
  /** The answer to bytes that are no request: its body as JSON, and headers of its own. */
  readonly toAnswer: (malformed: Malformed, error: ParserError | undefined, socket: Socket) => RawAnswer;
  /** A connection is closed because there are too many. */
  readonly onCrowded?: (socket: Socket) => void;
  /** True if nothing is to follow the answer on its connection. Default: more may follow. */
  readonly isLast?: (request: IncomingMessage) => boolean;
}

export interface RawAnswer {
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface HttpGate extends Disposable {
  /** Watch over the connections of a server that does not listen yet. */
  guard(server: Server): void;
  /** Told first of every request. Hands it to `handle` when its turn has come, or never: if its connection is at its end. */
  enter(request: IncomingMessage, response: ServerResponse, handle: RequestListener): void;
  /** Why a request that has entered must be refused; its connection then ends after the answer. */
  readonly faultOf: (request: IncomingMessage) => RequestFault | undefined;
  /** Nothing that follows a request which has entered is handled: its connection ends after this answer. */
  readonly endAfter: (response: ServerResponse) => void;
  /** For "clientError". */
  readonly refuse: (error: ParserError, socket: Socket) => void;
  /** From now on the next answer of a connection is its last one. */
  drain(): void;
  /** End connections of which nothing has come since their last answer; with `isPatient`, none that has asked for nothing yet. */
  endWaiting(isPatient: boolean): void;
}

export function createHttpGate(options: GateOptions): HttpGate {
  const { limits, now, hosts, toAnswer, onCrowded = () => undefined, isLast = () => false } = options;
  const faults = new WeakMap<IncomingMessage, RequestFault>();
  const idle = watchIdle(limits, now);
  const turns = createTurns();
  const limit = limitConnections({ limits, onCrowded, takeIdle: idle.take });
  const hostGuard = hosts && createHostGuard(hosts);
  let isDraining = false;
  const connections = rememberConnections((connection, socket) => {
    idle.end(socket);
    turns.clear(connection);
  });
  const { connectionOf } = connections;
  const goOn = (connection: Connection, socket: Socket): void => {
    if (socket.destroyed) return;
    turns.goOn(connection, socket);
    if (connection.open.size > 0) return;
    idle.begin(socket); // also one that ends: it gives way to others
    if (connection.isEnding) return connection.onIdle?.();
    if (isDraining) return endAfterAnswers(connection, socket, noAnswer);
    connection.readBytes = socket.bytesRead;
  };

  return {
    guard: createGuard({ connectionOf, toAnswer, hostGuard, limit }),
    enter(request, response, handle) {
      const { socket } = request;
      const connection = connectionOf(socket);
      if (connection.isEnding) return;
      idle.end(socket);
      if (!connection.latest && !limit.admit(socket)) return;
      connection.latest = request;
      connection.open.add(response);
      response.on("close", () => {
        connection.open.delete(response);
        goOn(connection, socket);
      });
      const fault = findFault(request, limits.httpMaxHeaders) ?? hostGuard?.check(request);
      if (fault) faults.set(request, fault);
      else request.url = toPath(request.url ?? "");
      // The bytes after an offer to change protocols are lost in Node: whoever makes it has this answer alone.
      const isOffer = request.headers.upgrade !== undefined;
      if (fault || isOffer || isDraining || isLast(request)) endWith(connection, response);
      if (turns.take(connection, { response, handle: () => handle(request, response) })) return;
      connection.open.delete(response);
      endAfterAnswers(connection, socket, noAnswer); // its client has to ask again
    },
    faultOf: (request) => faults.get(request),
    endAfter: (response) => endWith(connectionOf(response.req.socket), response),
    refuse: createRefusal({ limits, toAnswer, turns, connectionOf }),
    drain() {
      isDraining = true;
      endWithLatest(connections);
    },
    endWaiting: (isPatient) => endWaiting(connections, isPatient),
    [Symbol.dispose]: () => idle[Symbol.dispose](),
  };
}

interface GuardParts extends Pick<GateOptions, "toAnswer"> {
  readonly connectionOf: (socket: Socket) => Connection;
  readonly hostGuard: HostGuard | undefined;
  readonly limit: ConnectionLimit;
}

function createGuard({ connectionOf, toAnswer, hostGuard, limit }: GuardParts): HttpGate["guard"] {
  const { connect } = malformedRequests;
  return (server) => {
    hostGuard?.watch(server);
    server.on("connection", limit.enter); // before its TLS handshake
    server.on(server instanceof TlsServer ? "secureConnection" : "connection", (socket: Socket) => {
      const connection = connectionOf(socket);
      // What Node calls after the last answer: it would close the connection at once.
      socket.destroySoon = () => {
        connection.isEnding = true;
        endSocket(socket, "");
      };
      readInSlices(socket, {
        isHeld: () => connection.waiting.length > 0,
        isOver: () => connection.isEnding && connection.waiting.length === 0 && connection.latest?.complete !== false,
      });
    });
    server.on("timeout", (socket: Socket) => {
      const { latest, open } = connectionOf(socket);
      if (latest && open.size === 0) socket.destroy(); // before its first request it is late, and answered
    });
    server.on("connect", (_request, socket: Socket) => {
      const connection = connectionOf(socket);
      socket.on("error", () => socket.destroy()); // Node has let go of it, and would not answer
      if (!connection.isEnding)
        endAfterAnswers(connection, socket, () => toBytes(connect, toAnswer(connect, undefined, socket)));
    });
  };
}

interface RefusalParts extends Pick<GateOptions, "limits" | "toAnswer"> {
  readonly turns: Turns;
  readonly connectionOf: (socket: Socket) => Connection;
}

function createRefusal({ limits, toAnswer, turns, connectionOf }: RefusalParts): HttpGate["refuse"] {
  return (error, socket) => {
    const connection = connectionOf(socket);
    const malformed = describeMalformed(error, limits.httpMaxHeaderBytes);
    const current = [...connection.open].find(({ req }) => !req.complete);
    const isLeft = current !== undefined && error.code === "HPE_INVALID_EOF_STATE";
    if (!malformed || isLeft) return void socket.destroy();
    // Also of the last request of a connection, which it is for an offer of another protocol.
    if (current && refuseBody(current, malformed)) {
      connection.isEnding = true;
      return;
    }
    const isDropped = current !== undefined && turns.drop(connection, current);
    if (isDropped) connection.open.delete(current);
    else if (connection.isEnding) return; // the parser complains about every further chunk
    // What follows the last request, or belongs to one that has its answer, is nothing to be told of.
    const isAnswered = error.code === "HPE_CLOSED_CONNECTION" || (connection.latest?.complete === false && !isDropped);
    endAfterAnswers(connection, socket, () =>
      isAnswered ? "" : toBytes(malformed, toAnswer(malformed, error, socket)),
    );
  };
}

// Whoever reads the body is told, and answers. Destroying the request would take the socket away from the answer.
function refuseBody(response: ServerResponse, { status, message }: Malformed): boolean {
  if (response.headersSent || response.req.listenerCount("error") === 0) return false;
  response.setHeader("connection", "close");
  response.req.emit("error", new RequestFault(status, message));
  return true;
}

function toBytes({ status, reason }: Malformed, { body, headers = {} }: RawAnswer): string {
  const text = JSON.stringify(body);
  const own = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  const head = [
    `HTTP/1.1 ${status} ${reason}`,
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(text)}`,
    "connection: close",
  ];
  return [...head, ...own, "", text].join("\r\n");
}
