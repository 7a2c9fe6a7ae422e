/** The HTTP port: Node's server with its limits, TLS, and the gate that every request and connection passes. */
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { Socket } from "node:net";
import {
  createHttpGate,
  createRequestId,
  limitServer,
  RuntimeError,
  toServerOptions,
  type HttpGate,
  type HttpLimits,
  type Logger,
  type Malformed,
  type ParserError,
} from "@dyn/runtime";
import { toErrorBody } from "./openai/errors.ts";
import type { HttpTls } from "./security.ts";

export interface ListenerOptions {
  readonly limits: HttpLimits;
  /** Undefined = plain HTTP. */
  readonly tls: HttpTls | undefined;
  readonly log: Logger;
  readonly now: () => number;
}

export interface HttpListener extends Disposable {
  readonly gate: HttpGate;
  /** A server, not listening yet, that hands `handler` the requests that pass the gate. */
  readonly create: (handler: RequestListener) => Server;
}

export function createHttpListener({ limits, tls, log, now }: ListenerOptions): HttpListener {
  const gate = createHttpGate({ limits, now, toAnswer: (malformed, error, socket) => toRawAnswer(malformed, error, socket, log) });
  const servers: Server[] = []; // a name with several addresses has several
  tls?.follow(({ options }) => servers.forEach((server) => (server as TlsServer).setSecureContext(options))); // with TLS they are
  return {
    gate,
    create(handler) {
      const listener: RequestListener = (request, response) => {
        if (gate.enter(request, response)) handler(request, response);
      };
      const server = openServer(toServerOptions(limits), limits, tls, listener);
      servers.push(server);
      limitServer(server, limits);
      server.on("timeout", gate.expire).on("connect", (_request, socket: Socket) => gate.refuseConnect(socket));
      warnWhenFull(server, limits.maxConnections, log);
      return server;
    },
    [Symbol.dispose]: () => gate[Symbol.dispose](),
  };
}

function openServer(options: ReturnType<typeof toServerOptions>, limits: HttpLimits, tls: HttpTls | undefined, listener: RequestListener): Server {
  if (!tls) return createServer(options, listener);
  return createTlsServer({ ...options, ...tls.current.options, handshakeTimeout: limits.headerTimeoutMs }, listener);
}

// One line each time that places run out, not one for everybody who finds none.
function warnWhenFull(server: Server, limit: number, log: Logger): void {
  let isFull = false;
  server.on("drop", () => {
    if (!isFull) log.warn({ limit }, "connections are closed at once: there are too many");
    isFull = true;
  });
  server.on("connection", () => (isFull = false));
}

// Bytes that are no HTTP request have no headers to take ids from; the answer carries ids all the same.
function toRawAnswer({ status, reason, message }: Malformed, error: ParserError | undefined, socket: Socket, log: Logger): string {
  const requestId = createRequestId();
  log.warn({ request_id: requestId, remote: socket.remoteAddress, status, error: message, "error.type": error?.code }, "malformed HTTP refused");
  const body = JSON.stringify(toErrorBody(new RuntimeError("invalid_argument", message)));
  const head = [`HTTP/1.1 ${status} ${reason}`, "content-type: application/json", `content-length: ${Buffer.byteLength(body)}`];
  return [...head, "connection: close", `x-request-id: ${requestId}`, `request-id: ${requestId}`, "", body].join("\r\n");
}
