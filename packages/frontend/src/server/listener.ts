/** The HTTP port: Node's server with its limits, TLS, and the gate that every request and connection passes. */
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { Socket } from "node:net";
import type { Logger } from "@dyn/runtime";
import {
  createHttpGate,
  createRequestId,
  explainTlsError,
  limitServer,
  RequestFault,
  toServerOptions,
  type HostRules,
  type HttpGate,
  type HttpLimits,
  type Malformed,
  type ParserError,
  type RawAnswer,
} from "@dyn/runtime/internal";
import { logRefused } from "../http/exchange.ts";
import { toErrorHeaders } from "../http/error-headers.ts";
import { toErrorBody } from "../openai/errors.ts";
import type { HttpTls } from "./secrets.ts";

export interface ListenerOptions {
  readonly limits: HttpLimits;
  readonly hosts: HostRules;
  /** Undefined = plain HTTP. */
  readonly tls: HttpTls | undefined;
  readonly log: Logger;
  readonly now: () => number;
}

export interface HttpListener extends Disposable {
  readonly gate: HttpGate;
  /** For "clientError". */
  readonly refuse: (error: ParserError, socket: Socket) => void;
  /** A server, not listening yet, that hands `handler` the requests that pass the gate. */
  readonly create: (handler: RequestListener) => Server;
}

/** True if the client waits for a word before it sends its body. Any other expectation is not handed on, and HTTP/1.0 has none. */
export function awaitsContinue({ headers, httpVersion }: IncomingMessage): boolean {
  return headers.expect !== undefined && httpVersion === "1.1";
}

export function createHttpListener({ limits, hosts, tls, log, now }: ListenerOptions): HttpListener {
  const gate = createHttpGate({
    limits,
    now,
    hosts,
    toAnswer: (malformed, error, socket) => toRawAnswer(malformed, error, socket, log),
    onCrowded({ remoteAddress: remote }) {
      log.summed("warn", { limit: limits.maxConnections, remote }, "connections are closed: there are too many");
    },
  });
  return {
    gate,
    refuse: (error, socket) =>
      /^ERR_(?:SSL|TLS)_/.test(error.code ?? "") ? refuseHandshake(error, socket, log) : gate.refuse(error, socket),
    create(handler) {
      const listener: RequestListener = (request, response) => gate.enter(request, response, handler);
      const server = openServer(toServerOptions(limits), limits, tls, listener);
      tls?.follow(({ options }) => (server as TlsServer).setSecureContext(options)); // with TLS it is one
      limitServer(server, limits);
      server.on("checkContinue", listener); // whoever handles it asks for the body, or does not
      server.on("checkExpectation", listener);
      gate.guard(server);
      return server;
    },
    [Symbol.dispose]: () => gate[Symbol.dispose](),
  };
}

function openServer(
  options: ReturnType<typeof toServerOptions>,
  limits: HttpLimits,
  tls: HttpTls | undefined,
  listener: RequestListener,
): Server {
  if (!tls) return createServer(options, listener);
  return createTlsServer({ ...options, ...tls.current.options, handshakeTimeout: limits.headerTimeoutMs }, listener);
}

// Bytes that are no HTTP request have no headers to take ids from; the answer carries ids all the same.
function toRawAnswer(
  { status, message }: Malformed,
  error: ParserError | undefined,
  socket: Socket,
  log: Logger,
): RawAnswer {
  const requestId = createRequestId();
  const lineLog = log.child({ requestId, fields: { request_id: requestId, parser_error: error?.code } });
  const fault = new RequestFault(status, message);
  logRefused(lineLog, fault, { socket, hasKey: false });
  return {
    body: toErrorBody(fault),
    headers: { "x-request-id": requestId, "request-id": requestId, ...toErrorHeaders(fault) },
  };
}

// Nothing can be answered: what the client would read is not what it expects.
function refuseHandshake(failure: ParserError, socket: Socket, log: Logger): void {
  const { code } = failure;
  const isPlain = code === "ERR_SSL_HTTP_REQUEST";
  const error = isPlain
    ? "this looks like plain HTTP; only HTTPS is spoken here: use https://"
    : explainTlsError(failure);
  log.summed(
    "warn",
    { remote: socket.remoteAddress, error, "error.type": code },
    "TLS handshake refused",
    code === undefined ? {} : { kind: code },
  );
  socket.destroy();
}
