/** What a client of an HTTP server may take: bytes, headers, time, connections. */
import type { Server, ServerOptions } from "node:http";

export interface HttpLimits {
  /** Largest request line and headers of a request in all, and largest trailers, bytes. Default `16384`. */
  readonly maxHeaderBytes: number;
  /** Most headers of a request. Default `100`. */
  readonly maxHeaders: number;
  /** From the connection, or the first byte, to the end of the head, ms; the TLS handshake has as long. Default `20000`. */
  readonly headerTimeoutMs: number;
  /** To the end of the body, ms. Default `120000`. */
  readonly receiveTimeoutMs: number;
  /** Between requests of a connection, ms. Default `72000`. */
  readonly keepAliveTimeoutMs: number;
  /** How long nothing of an answer may leave, ms. Default `300000`. */
  readonly sendTimeoutMs: number;
  /** Connections open at a time that have asked for something; for those that have not, the gate has places of their own. Default `20000`. */
  readonly maxConnections: number;
}

/** How often clients that are late are looked for, ms: often enough for the shortest limit. */
export function toCheckIntervalMs({ headerTimeoutMs, receiveTimeoutMs, keepAliveTimeoutMs }: HttpLimits): number {
  return Math.max(10, Math.min(1_000, Math.min(headerTimeoutMs, receiveTimeoutMs, keepAliveTimeoutMs) / 4));
}

/** Limits as Node's server takes them. Hosts are judged by the gate: Node's own answer has no shape. */
export function toServerOptions(limits: HttpLimits): ServerOptions {
  const { maxHeaderBytes, headerTimeoutMs, receiveTimeoutMs, keepAliveTimeoutMs } = limits;
  return {
    insecureHTTPParser: false,
    requireHostHeader: false,
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: Math.min(headerTimeoutMs, receiveTimeoutMs),
    requestTimeout: receiveTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    connectionsCheckingInterval: toCheckIntervalMs(limits),
  };
}

/** The limits that Node has no options for. Headers are counted by the gate: Node would drop those beyond its limit and say nothing.
 *  After `sendTimeoutMs` without a byte either way an answer hears "timeout"; what becomes of it is for who writes it. */
export function limitServer(server: Server, { sendTimeoutMs }: HttpLimits): void {
  server.maxHeadersCount = 0;
  server.timeout = sendTimeoutMs;
}
