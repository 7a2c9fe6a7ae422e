/** A guarded HTTP server: Node's, with its limits, TLS, and the gate that every request and connection passes. */
import type { RequestListener, Server } from "node:http";
import type { Socket } from "node:net";
import type { SecureContextOptions, Server as TlsServer } from "node:tls";
import type { RuntimeError } from "../errors.ts";
import { createRequestId } from "../ids.ts";
import type { Logger } from "../logging/logger.ts";
import { logRefused } from "./exchange.ts";
import { createHttpGate, type HttpGate, type RawAnswer } from "./gate.ts";
import type { HostRules } from "./hosts.ts";
import { limitServer, toServerOptions, type HttpLimits } from "./limits.ts";
import { RequestFault, type Malformed, type ParserError } from "./malformed.ts";
import { toErrorHeaders } from "./reply.ts";

// Not imported: an import reads all names of a module, and for some of this one's Node.js loads its whole HTTP client, a tenth of the start.
const http = process.getBuiltinModule("node:http");

/** Certificates for a server. */
export interface HttpTls {
  /** Those of this moment: they may have changed before the server was there. */
  readonly current: { readonly options: SecureContextOptions };
  /** Call `use` with those that come later. */
  follow(use: (material: HttpTls["current"]) => void): void;
  /** What went wrong in a handshake, in words. */
  explain(error: Error): string;
}

export interface ServerOptions {
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
  readonly faultOf: HttpGate["faultOf"];
}

/** Create one that hands the requests that pass the gate to `handle`. */
export function createGuardedServer(options: ServerOptions, handle: RequestListener): GuardedServer {
  const { limits, hosts, tls, log, now } = options;
  const gate = createHttpGate({
    limits,
    now,
    hosts,
    toAnswer: (malformed, error, socket) => toRawAnswer(malformed, error, socket, options),
    onCrowded({ remoteAddress: remote }) {
      log.summed("warn", { limit: limits.maxConnections, remote }, "connections are closed: there are too many");
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
  return { server, faultOf: gate.faultOf, [Symbol.dispose]: () => gate[Symbol.dispose]() };
}

function openServer({ limits, tls }: ServerOptions, listener: RequestListener): Server {
  const options = toServerOptions(limits);
  if (!tls) return http.createServer(options, listener);
  const server: Server & TlsServer = process
    .getBuiltinModule("node:https")
    .createServer({ ...options, ...tls.current.options, handshakeTimeout: limits.headerTimeoutMs }, listener);
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
