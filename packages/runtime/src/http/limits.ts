/** What a client of an HTTP server may take: bytes, headers, time, connections. */
import type { Server, ServerOptions } from "node:http";

export interface HttpLimits {
  /** Largest request line and headers of a request in all, and largest trailers, bytes. Default `16384`. */
  readonly httpMaxHeaderBytes: number;
  /** Most headers of a request. Default `100`. */
  readonly httpMaxHeaders: number;
  /** From the connection, or the first byte, to the end of the head, ms; the TLS handshake has as long. Default `20000`. */
  readonly httpHeaderTimeoutMs: number;
  /** To the end of the body, ms. Default `120000`. */
  readonly httpReceiveTimeoutMs: number;
  /** Between requests of a connection, ms. Default `72000`. */
  readonly httpKeepAliveTimeoutMs: number;
  /** How long nothing of an answer may leave, ms. Default `300000`. */
  readonly httpSendTimeoutMs: number;
  /** Connections open at a time that have asked for something; for those that have not, the gate has places of their own. Default `20000`. */
  readonly httpMaxConnections: number;
}

/** How often clients that are late are looked for, ms: often enough for the shortest limit. */
export function toCheckIntervalMs({
  httpHeaderTimeoutMs,
  httpReceiveTimeoutMs,
  httpKeepAliveTimeoutMs,
}: HttpLimits): number {
  return Math.max(10, Math.min(1_000, Math.min(httpHeaderTimeoutMs, httpReceiveTimeoutMs, httpKeepAliveTimeoutMs) / 4));
}

/** Limits as Node's server takes them. Hosts are judged by the gate: Node's own answer has no shape. */
export function toServerOptions(limits: HttpLimits): ServerOptions {
  const { httpMaxHeaderBytes, httpHeaderTimeoutMs, httpReceiveTimeoutMs, httpKeepAliveTimeoutMs } = limits;
  return {
    insecureHTTPParser: false,
    requireHostHeader: false,
    maxHeaderSize: httpMaxHeaderBytes,
    headersTimeout: Math.min(httpHeaderTimeoutMs, httpReceiveTimeoutMs),
    requestTimeout: httpReceiveTimeoutMs,
    keepAliveTimeout: httpKeepAliveTimeoutMs,
    connectionsCheckingInterval: toCheckIntervalMs(limits),
  };
}

/** The limits that Node has no options for. Headers are counted by the gate: Node would drop those beyond its limit and say nothing.
 *  After `sendTimeoutMs` without a byte either way an answer hears "timeout"; what becomes of it is for who writes it. */
export function limitServer(server: Server, { httpSendTimeoutMs }: HttpLimits): void {
  server.maxHeadersCount = 0;
  server.timeout = httpSendTimeoutMs;
}
