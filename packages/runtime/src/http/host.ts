/** An HTTP host: a guarded server and its routes, from listening to the last answer. The frontend and the system server of workers are two tables of routes. */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { formatHostPort } from "../address.ts";
import type { EndReport } from "../end-report.ts";
import type { RuntimeError } from "../errors.ts";
import { within } from "../lifetime.ts";
import { toListenError } from "../listen-error.ts";
import { createServe, type ServeOptions } from "./serve-request.ts";
import { createGuardedServer, type GuardedServer, type ServerOptions } from "./server.ts";
import { createUnderWay, type UnderWay } from "./under-way.ts";

export interface HostOptions extends Omit<ServeOptions, "scheme" | "decodeTimeoutMs">, ServerOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Flag and variable of the port, for whoever has to choose another. */
  readonly portSetting: string;
  /** Inference requests under way at a time. Default: any number. */
  readonly maxRequests?: number;
}

export interface HttpHost {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** Accept no more; resolves when the last answer is out. After `timeoutMs` those that are left are aborted, and have `lastWordsMs` to leave. */
  close(end: HostEnd): Promise<void>;
}

export interface HostEnd {
  readonly timeoutMs: number;
  readonly lastWordsMs: number;
  /** What the answers that are aborted say. */
  readonly reason: RuntimeError;
  /** What became of the requests is counted there. */
  readonly report?: EndReport;
}

/** Listen. @throws RuntimeError `unavailable` if the address is taken or not ours. */
export async function openHost(options: HostOptions): Promise<HttpHost> {
  const { host, port, limits, tls, portSetting, log, maxRequests: limit = Number.POSITIVE_INFINITY } = options;
  const scheme = tls ? "https" : "http";
  const underWay = createUnderWay({ limit, sendTimeoutMs: limits.httpSendTimeoutMs });
  const serving = { ...options, scheme, decodeTimeoutMs: limits.httpReceiveTimeoutMs } as const;
  const guarded = createGuardedServer(options, (request, response) => serve(request, response));
  const serve = createServe(serving, { underWay, gate: guarded.gate });
  const { server } = guarded;
  try {
    await listen(server, host, port);
  } catch (cause) {
    guarded[Symbol.dispose]();
    throw toListenError(cause, `${scheme}://${formatHostPort(host, port)}`, portSetting);
  }
  server.on("error", (error) => log.error({ error }, "HTTP server failed"));
  const bound = server.address() as AddressInfo; // a TCP server that listens
  return {
    host: bound.address,
    port: bound.port,
    url: `${scheme}://${formatHostPort(bound.address, bound.port)}`,
    close: (end) => closeHost(guarded, underWay, options, end),
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

async function closeHost(
  guarded: GuardedServer,
  underWay: UnderWay,
  { log }: HostOptions,
  { timeoutMs, lastWordsMs, reason, report }: HostEnd,
): Promise<void> {
  report?.count({ running: underWay.count, cut: 0 });
  let cut = setTimeout(() => {
    const { count: requests } = underWay;
    report?.count({ running: 0, cut: requests });
    if (requests > 0)
      log.warn({ requests, timeout_secs: timeoutMs / 1000 }, "drain timed out, running requests are ended");
    underWay.abortAll(reason);
    cut = setTimeout(() => guarded.destroyAll(), lastWordsMs);
  }, timeoutMs);
  try {
    await guarded.close(timeoutMs / 2);
    // A client that leaves takes its connection with it; its request still has to be cancelled at its worker, and its last line written.
    await within(underWay.none(), lastWordsMs);
  } finally {
    clearTimeout(cut);
    guarded[Symbol.dispose]();
  }
}
