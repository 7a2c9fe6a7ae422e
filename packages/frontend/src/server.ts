/** The HTTP server: listens, and closes when the last answer is out. */
import type { AddressInfo } from "node:net";
import { createEndReport, formatHostPort, isLoopback, RuntimeError, toRuntimeError, within, type HttpLimits, type Logger } from "@dyn/runtime";
import type { FastifyInstance } from "fastify";
import { createApp, type AppOptions } from "./app.ts";
import { createTally, type Tally } from "./http/tally.ts";
import { createHttpListener } from "./listener.ts";
import type { HttpTls } from "./security.ts";

export interface ServerOptions extends Omit<AppOptions, "open" | "faultOf" | "sendTimeoutMs" | "decodeTimeoutMs" | "handlers"> {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly limits: HttpLimits;
  /** Names by which it is asked, beside localhost and addresses. */
  readonly allowedHosts: readonly string[];
  /** Nobody needs an API key. */
  readonly isOpen: boolean;
  /** Undefined = plain HTTP. */
  readonly tls: HttpTls | undefined;
}

export interface HttpServer {
  readonly host: string;
  readonly port: number;
  /** Accept no more; resolves when the last answer is out or `timeoutMs` is over. The last line counts from `begunAt`, when the end was asked for. */
  close(timeoutMs: number, begunAt: number): Promise<void>;
}

const openWarning =
  "everybody who reaches the HTTP port is served, nobody is asked for an API key: set --api-keys-file, or listen on 127.0.0.1 with --http-host";

/** Start listening. @throws RuntimeError `unavailable` if the address is taken or not ours. */
export async function listenHttp(options: ServerOptions): Promise<HttpServer> {
  const { host, port, log, now, limits, tls, allowedHosts: allowed, isOpen } = options;
  const open = new Set<AbortController>();
  const hosts = { allowed, setting: "--http-allowed-hosts (DYN_HTTP_ALLOWED_HOSTS)", isOpen };
  const listener = createHttpListener({ limits, hosts, tls, log, now });
  const { faultOf } = listener.gate;
  const { sendTimeoutMs, receiveTimeoutMs: decodeTimeoutMs } = limits;
  const handlers = createTally();
  const app = createApp({ ...options, open, faultOf, sendTimeoutMs, decodeTimeoutMs, handlers }, listener);
  try {
    await app.listen({ host, port });
  } catch (cause) {
    listener[Symbol.dispose]();
    const isTaken = cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
    const advice = isTaken ? "; choose another port with --http-port or DYN_HTTP_PORT" : "";
    const address = `${options.tls ? "https" : "http"}://${formatHostPort(host, port)}`;
    throw new RuntimeError("unavailable", `cannot listen on ${address}: ${toRuntimeError(cause).message}${advice}`, { cause });
  }
  const bound = app.server.address() as AddressInfo; // a TCP server that listens
  if (isOpen && !isLoopback(bound.address)) log.warn({ host: bound.address }, openWarning);
  const close = (timeoutMs: number, begunAt: number): Promise<void> =>
    closeApp(app, { open, handlers, log, now, begunAt, timeoutMs }).finally(() => listener[Symbol.dispose]());
  return { host: bound.address, port: bound.port, close };
}

/** How long the answers that are ended may take to leave, ms. */
const lastWordsMs = 1_000;

interface CloseOptions {
  readonly open: ReadonlySet<AbortController>;
  readonly handlers: Tally;
  readonly log: Logger;
  readonly now: () => number;
  readonly begunAt: number;
  readonly timeoutMs: number;
}

// Sockets that go idle after close() began are not closed by it: look again until all are gone.
async function closeApp(app: FastifyInstance, { open, handlers, log, now, begunAt, timeoutMs }: CloseOptions): Promise<void> {
  const report = createEndReport(now);
  report.count({ running: open.size, cut: 0 });
  const poll = setInterval(() => app.server.closeIdleConnections(), 50);
  let cut = setTimeout(() => {
    report.count({ running: 0, cut: open.size });
    if (open.size > 0) log.warn({ requests: open.size, timeout_secs: timeoutMs / 1000 }, "drain timed out, running requests are ended");
    for (const aborter of open) aborter.abort(new RuntimeError("unavailable", "the frontend is shutting down"));
    cut = setTimeout(() => app.server.closeAllConnections(), lastWordsMs);
  }, timeoutMs);
  try {
    await app.close();
    // A client that leaves takes its connection with it; its request still has to be cancelled at its worker, and its last line written.
    await within(handlers.none(), lastWordsMs);
  } finally {
    clearInterval(poll);
    clearTimeout(cut);
  }
  log.info({ ...report.facts(begunAt) }, "stopped");
}
