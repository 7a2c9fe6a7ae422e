/** A guarded HTTP server: Node's, with its limits, TLS, and the gate that every request and connection passes. */
import type { RequestListener, Server } from "node:http";
import { Server as TcpServer, type Socket } from "node:net";
import type { SecureContextOptions, Server as TlsServer } from "node:tls";
import type { RuntimeError } from "../errors.ts";
import { createRequestId } from "../ids.ts";
import type { Logger } from "../logging/logger.ts";
import { logRefused } from "./exchange.ts";
import { lingerMs } from "./connections.ts";
import { createHttpGate, type GateOptions, type HttpGate, type RawAnswer } from "./gate.ts";
import type { HostRules } from "./hosts.ts";
import { limitServer, toServerOptions, type HttpLimits } from "./limits.ts";
import { RequestFault, type Malformed, type ParserError } from "./malformed.ts";
import { toErrorHeaders } from "./reply.ts";

// Not imported: an import reads all names of a module, and for some of this one's Node.js loads its whole HTTP client, a tenth of the start.
const http = process.getBuiltinModule("node:http");

/** Connections that wait in the system for this process, at most: what Node asks for when it listens. Those that come later are not waited for. */
const backlog = 511;

/** Certificates for a server. */
export interface HttpTls {
  /** Those of this moment: they may have changed before the server was there. */
  readonly current: { readonly options: SecureContextOptions };
  /** Call `use` with those that come later. */
  follow(use: (material: HttpTls["current"]) => void): void;
  /** What went wrong in a handshake, in words. */
  explain(error: Error): string;
}

export interface ServerOptions extends Pick<Required<GateOptions>, "isLast"> {
  readonly limits: HttpLimits;
  readonly hosts: HostRules;
  /** Undefined = plain HTTP. */
  readonly tls: HttpTls | undefined;
  readonly log: Logger;
  readonly now: () => number;
  /** The answer to bytes that are no request. */
  readonly toFaultBody: (fault: RuntimeError) => unknown;
}

export interface GuardedServer extends Disposable {
  /** Does not listen yet. */
  readonly server: Server;
  readonly gate: Pick<HttpGate, "faultOf" | "endAfter">;
  /** Accept no more than those that wait in the system already, for at most `patienceMs`; resolves when the last connection is gone. */
  close(patienceMs: number): Promise<void>;
  /** Close all connections at once. */
  destroyAll(): void;
}

/** Create one that hands the requests that pass the gate to `handle`. */
export function createGuardedServer(options: ServerOptions, handle: RequestListener): GuardedServer {
  const { limits, hosts, tls, log, now, isLast } = options;
  const gate = createHttpGate({
    limits,
    now,
    hosts,
    isLast,
    toAnswer: (malformed, error, socket) => toRawAnswer(malformed, error, socket, options),
    onCrowded({ remoteAddress: remote }) {
      log.summed("warn", { limit: limits.httpMaxConnections, remote }, "connections are closed: there are too many");
    },
  });
  const listener: RequestListener = (request, response) => gate.enter(request, response, handle);
  const server = openServer(options, listener);
  limitServer(server, limits);
  server.on("checkContinue", listener); // whoever handles it asks for the body, or does not
  server.on("checkExpectation", listener);
  server.on("clientError", (error: ParserError, socket: Socket) => {
    if (tls && /^ERR_(?:SSL|TLS)_/.test(error.code ?? "")) refuseHandshake(error, socket, tls, log);
    else gate.refuse(error, socket);
  });
  gate.guard(server);
  const sockets = rememberSockets(server);
  return {
    server,
    gate,
    close(patienceMs) {
      const until = now() + patienceMs;
      return closeServer(server, sockets, gate, () => now() >= until);
    },
    destroyAll() {
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy(); // what is left: TLS handshakes
    },
    [Symbol.dispose]: () => gate[Symbol.dispose](),
  };
}

function rememberSockets(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  return sockets;
}

async function closeServer(
  server: Server,
  sockets: ReadonlySet<Socket>,
  gate: HttpGate,
  isLate: () => boolean,
): Promise<void> {
  gate.drain();
  await acceptWaiting(server, isLate);
  gate.endWaiting(true);
  // Who has just connected is about to ask.
  const silent = setTimeout(() => {
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy(); // also where TLS is spoken, which the gate sees later
    gate.endWaiting(false);
  }, lingerMs);
  // As any TCP server does: Node's HTTP server would also stop looking for clients that are late.
  await new Promise<void>((resolve) => TcpServer.prototype.close.call(server, () => resolve()));
  clearTimeout(silent);
  server.close(); // ends that look
}

// The system resets connections that wait for a port when it closes, though their clients have been told that they are connected.
// Node accepts one in a round of the event loop, the oldest, and reads in the same round what has come on the others.
async function acceptWaiting(server: Server, isLate: () => boolean): Promise<void> {
  let accepted = 0;
  const onConnection = (): void => void (accepted += 1);
  server.on("connection", onConnection);
  await nextRound(); // this one may have looked before
  for (let round = 0; round <= backlog && !isLate(); round += 1) {
    const before = accepted;
    await nextRound();
    if (accepted === before) break;
  }
  server.off("connection", onConnection);
}

function nextRound(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function openServer({ limits, tls }: ServerOptions, listener: RequestListener): Server {
  const options = toServerOptions(limits);
  if (!tls) return http.createServer(options, listener);
  const server: Server & TlsServer = process
    .getBuiltinModule("node:https")
    .createServer({ ...options, ...tls.current.options, handshakeTimeout: limits.httpHeaderTimeoutMs }, listener);
  tls.follow((material) => server.setSecureContext(material.options));
  return server;
}

// Bytes that are no HTTP request have no headers to take ids from; the answer carries ids all the same.
function toRawAnswer(
  { status, message }: Malformed,
  error: ParserError | undefined,
  socket: Socket,
  { log, toFaultBody }: ServerOptions,
): RawAnswer {
  const requestId = createRequestId();
  const lineLog = log.child({ requestId, fields: { request_id: requestId, parser_error: error?.code } });
  const fault = new RequestFault(status, message);
  logRefused(lineLog, fault, { socket, hasKey: false });
  return {
    body: toFaultBody(fault),
    headers: { "x-request-id": requestId, "request-id": requestId, ...toErrorHeaders(fault) },
  };
}

// Nothing can be answered: what the client would read is not what it expects.
function refuseHandshake(failure: ParserError, socket: Socket, tls: HttpTls, log: Logger): void {
  const { code } = failure;
  const isPlain = code === "ERR_SSL_HTTP_REQUEST";
  const error = isPlain ? "this looks like plain HTTP; only HTTPS is spoken here: use https://" : tls.explain(failure);
  log.summed(
    "warn",
    { remote: socket.remoteAddress, error, "error.type": code },
    "TLS handshake refused",
    code === undefined ? {} : { kind: code },
  );
  socket.destroy();
}
