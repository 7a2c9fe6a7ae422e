/** The HTTP servers: listen, and close when the last answer is out. */
import type { AddressInfo } from "node:net";
import { RuntimeError, toRuntimeError, type Logger } from "@dyn/runtime";
import {
  createEndReport,
  formatHostPort,
  isLoopback,
  within,
  type EndReport,
  type HttpLimits,
} from "@dyn/runtime/internal";
import type { FastifyInstance } from "fastify";
import { createApp, type AppOptions } from "./app.ts";
import { createCallers, type CallerKeys, type PortUse } from "../http/callers.ts";
import { createCors } from "../http/cors.ts";
import { createTally, type Tally } from "../http/tally.ts";
import { createHttpListener } from "./listener.ts";
import { methodsOf, routesAt } from "./routes.ts";
import type { HttpTls } from "./secrets.ts";

export interface PortsOptions extends Omit<
  AppOptions,
  "open" | "faultOf" | "sendTimeoutMs" | "decodeTimeoutMs" | "handlers" | "callers" | "cors"
> {
  readonly http: Address;
  /** Undefined = what is for operators is at the port of all. */
  readonly operators: Address | undefined;
  readonly keys: CallerKeys;
  readonly corsOrigins: readonly string[];
  readonly limits: HttpLimits;
  /** Names by which it is asked, beside localhost and addresses. */
  readonly allowedHosts: readonly string[];
  /** Undefined = plain HTTP. */
  readonly tls: HttpTls | undefined;
}

interface Address {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

export interface HttpServer extends Address {
  readonly url: string;
  /** Accept no more; resolves when the last answer is out or `timeoutMs` is over. What became of its requests is counted in `report`. */
  close(timeoutMs: number, report: EndReport): Promise<void>;
}

export interface HttpPorts {
  readonly http: HttpServer;
  readonly operators: HttpServer | undefined;
  /** Close both, that of operators last: it shows the drain of the other. */
  close: HttpServer["close"];
}

/** Start listening, at one port or two. @throws RuntimeError `unavailable` if an address is taken or not ours; nothing stays open then. */
export async function listenHttp(options: PortsOptions): Promise<HttpPorts> {
  const operators = options.operators && (await listenPort({ ...options, ...options.operators, use: "operators" }));
  try {
    const http = await listenPort({ ...options, ...options.http, use: operators ? "clients" : "all" });
    return {
      http,
      operators,
      async close(timeoutMs, report) {
        try {
          await http.close(timeoutMs, report);
        } finally {
          await operators?.close(lastWordsMs, report);
        }
      },
    };
  } catch (error) {
    await operators?.close(0, createEndReport(options.now));
    throw error;
  }
}

interface PortOptions extends PortsOptions, Address {
  readonly use: PortUse;
}

const clientsWords = {
  otherPort: "--http-port or DYN_HTTP_PORT",
  openWarning:
    "everybody who reaches the HTTP port is served, nobody is asked for an API key: set --api-keys-file, or listen on 127.0.0.1 with --http-host",
};
const operatorsWords = {
  otherPort: "--operator-port or DYN_OPERATOR_PORT",
  openWarning:
    "everybody who reaches the operators' port sees all requests, nobody is asked for a key: set --operator-keys-file, or listen on 127.0.0.1 with --operator-host",
};

async function listenPort(options: PortOptions): Promise<HttpServer> {
  const { host, port, use, keys, corsOrigins, allowedHosts: allowed, log, now, limits, tls } = options;
  const words = use === "operators" ? operatorsWords : clientsWords;
  const scheme = tls ? "https" : "http";
  const open = new Map<string, AbortController>();
  const isOpen = (use === "operators" ? keys.operatorKeys : keys.apiKeys) === undefined;
  const hosts = { allowed, setting: "--http-allowed-hosts (DYN_HTTP_ALLOWED_HOSTS)", isOpen };
  const listener = createHttpListener({ limits, hosts, tls, log, now });
  const { faultOf } = listener.gate;
  const { sendTimeoutMs, receiveTimeoutMs: decodeTimeoutMs } = limits;
  const handlers = createTally();
  const routes = routesAt(use, options.routes);
  const callers = createCallers(keys, use);
  const cors = createCors(use === "operators" ? [] : corsOrigins, [...new Set(routes.flatMap(methodsOf))]); // no page operates
  const app = createApp(
    { ...options, routes, callers, cors, open, faultOf, sendTimeoutMs, decodeTimeoutMs, handlers },
    listener,
  );
  try {
    await app.listen({ host, port });
  } catch (cause) {
    listener[Symbol.dispose]();
    const isTaken = cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
    const advice = isTaken ? `; choose another port with ${words.otherPort}` : "";
    const address = `${scheme}://${formatHostPort(host, port)}`;
    throw new RuntimeError("unavailable", `cannot listen on ${address}: ${toRuntimeError(cause).message}${advice}`, {
      cause,
    });
  }
  const bound = app.server.address() as AddressInfo; // a TCP server that listens
  if (isOpen && !isLoopback(bound.address)) log.warn({ host: bound.address }, words.openWarning);
  const close: HttpServer["close"] = (timeoutMs, report) =>
    closeApp(app, { open, handlers, log, report, timeoutMs }).finally(() => listener[Symbol.dispose]());
  return {
    host: bound.address,
    port: bound.port,
    url: `${scheme}://${formatHostPort(bound.address, bound.port)}`,
    close,
  };
}

/** How long the answers that are ended may take to leave, ms. */
const lastWordsMs = 1_000;

interface CloseOptions {
  readonly open: ReadonlyMap<string, AbortController>;
  readonly handlers: Tally;
  readonly log: Logger;
  readonly report: EndReport;
  readonly timeoutMs: number;
}

// Sockets that go idle after close() began are not closed by it: look again until all are gone.
async function closeApp(app: FastifyInstance, { open, handlers, log, report, timeoutMs }: CloseOptions): Promise<void> {
  report.count({ running: open.size, cut: 0 });
  const poll = setInterval(() => app.server.closeIdleConnections(), 50);
  let cut = setTimeout(() => {
    report.count({ running: 0, cut: open.size });
    if (open.size > 0)
      log.warn({ requests: open.size, timeout_secs: timeoutMs / 1000 }, "drain timed out, running requests are ended");
    for (const aborter of open.values())
      aborter.abort(new RuntimeError("unavailable", "the frontend is shutting down"));
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
}
