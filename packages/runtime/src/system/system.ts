/** The system server of a process: /live, /health and /metrics over HTTP, for probes and Prometheus, and routes of whoever runs there.
 *  Like Dynamo's system_status_server.rs, but the three differ. */
import { isLoopback } from "../address.ts";
import { RuntimeError } from "../errors.ts";
import type { ApiKeys } from "../http/api-keys.ts";
import { createCallers, type Callers } from "../http/callers.ts";
import { openHost, type HttpHost } from "../http/host.ts";
import type { HttpLimits } from "../http/limits.ts";
import { createRouteTable, type RouteTable } from "../http/route.ts";
import { once } from "../lifetime.ts";
import type { Logger } from "../logging/logger.ts";
import type { MemoryBudget } from "../memory-budget.ts";
import type { RuntimeMetrics } from "../metrics/runtime-metrics.ts";
import { offTracer } from "../trace/spans.ts";
import { createReadiness, type EndpointReadiness } from "./readiness.ts";
import { toEntries, toErrorBody, toOwnRoutes, type SystemRoute } from "./routes.ts";
import type { ServiceManager } from "./service-manager.ts";
import { createStatus, stageOf, type Member, type ProcessStage, type StatusSources } from "./status.ts";

export interface SystemOptions {
  readonly host: string;
  /** 0 lets the system choose; -1 = no server. */
  readonly port: number;
  /** Names by which it is asked, beside localhost and addresses. */
  readonly allowedHosts: readonly string[];
  /** For a request to arrive, for its answer to leave, and for the next one to begin. */
  readonly timeoutMs: number;
  /** Of operators: for everything but to learn that the process lives and whether it is ready. Undefined = everybody may. */
  readonly operatorKeys: (() => ApiKeys) | undefined;
  readonly metrics: RuntimeMetrics;
  /** Bodies of requests are taken from it. */
  readonly memory: MemoryBudget;
  readonly log: Logger;
  readonly now: () => number;
  /** Who has started this process. Disposed when the last runtime has left. */
  readonly manager: ServiceManager;
}

/** One per process, shared by its runtimes. */
export interface System {
  /** Undefined when there is no server. */
  readonly port: number | undefined;
  /** Have it answer at one more path, until it closes. @throws RuntimeError `invalid_argument` if the path is taken. */
  addRoute(path: string, route: SystemRoute): void;
  /** A service manager such as systemd is told that this process serves, or drains: of one without endpoints, such as a frontend, whoever runs it knows. */
  tell(stage: "serving" | "draining"): void;
  /** A runtime uses it until it leaves. The server closes when the last has left. `member` says how the runtime is. */
  join(member: () => Member): Membership;
}

export interface Membership {
  /** Of the process, as /health says it. */
  readonly stage: ProcessStage;
  /** What its health checks say has changed. */
  checked(): void;
  /** An endpoint that should serve. */
  expect(endpoint: string): EndpointReadiness;
  /** The process is not ready until this member has left. */
  drain(): void;
  /** Idempotent. */
  leave(): Promise<void>;
}

/** Answers that are still under way when the server closes have this long. */
const closeMs = 500;
/** Of an order. */
const maxBodyBytes = 65_536;

const openWarning =
  "everybody who reaches the system server can give it orders: set --operator-keys-file, or listen on 127.0.0.1 with --system-host";

/** Start the server, if there is to be one. @throws RuntimeError `unavailable` if the address cannot be had. */
export async function openSystem(options: SystemOptions): Promise<System> {
  const { manager } = options;
  const readiness = createReadiness(() => tellStage());
  const members = new Set<() => Member>();
  const sources: StatusSources = { readiness, members };
  // That a part of it drains is not the end of the process.
  const tellStage = (): void => {
    const stage = stageOf(sources);
    if (stage !== "draining" && stage !== "starting") manager.tell(stage);
  };
  const leaving = new Set<() => Member>();
  const routes = createOwnTable(options, sources);
  const server = await openServer(options, routes);
  const leave = async (member: () => Member): Promise<void> => {
    members.delete(member);
    leaving.delete(member);
    if (members.size > 0) return;
    await server?.close();
    manager[Symbol.dispose]();
  };
  return {
    port: server?.port,
    addRoute(path, route) {
      if (routes.has(path)) throw new RuntimeError("invalid_argument", `${path} of the system server is taken`);
      for (const entry of toEntries(path, route)) routes.add(entry);
      const isOpen = server && !isLoopback(server.host) && !options.operatorKeys;
      if (isOpen && Object.keys(route.orders).length > 0)
        options.log.warnOnce({ host: server.host, path }, openWarning);
    },
    tell: (stage) => manager.tell(stage),
    join(member) {
      members.add(member);
      let draining: { over(): void } | undefined;
      const end = once(() => leave(member));
      return {
        get stage() {
          return stageOf(sources);
        },
        expect: (endpoint) => readiness.expect(endpoint),
        checked: tellStage,
        drain() {
          draining ??= readiness.drain();
          leaving.add(member);
          if (leaving.size === members.size) manager.tell("draining");
        },
        leave() {
          draining?.over();
          return end();
        },
      };
    },
  };
}

async function openServer(options: SystemOptions, routes: RouteTable): Promise<RunningServer | undefined> {
  try {
    return options.port < 0 ? undefined : await startServer(options, routes);
  } catch (error) {
    options.manager[Symbol.dispose]();
    throw error;
  }
}

function createOwnTable({ metrics, now }: SystemOptions, sources: StatusSources): RouteTable {
  const startedAt = now();
  const toStatus = createStatus(sources, () => now() - startedAt);
  const list = (): readonly string[] => table.routes.map(({ method, path }) => `${method} ${path}`);
  const table = createRouteTable(toOwnRoutes({ metrics, toStatus, list, now }));
  return table;
}

interface RunningServer extends Pick<HttpHost, "host" | "port"> {
  close(): Promise<void>;
}

async function startServer(options: SystemOptions, routes: RouteTable): Promise<RunningServer> {
  const { timeoutMs, operatorKeys, metrics, memory, log, now } = options;
  const server = await openHost({
    host: options.host,
    port: options.port,
    portSetting: "--system-port or DYN_SYSTEM_PORT",
    limits: toLimits(timeoutMs),
    hosts: {
      allowed: options.allowedHosts,
      setting: "--system-allowed-hosts (DYN_SYSTEM_ALLOWED_HOSTS)",
      isOpen: !operatorKeys,
      isForOwnPages: true,
    },
    tls: undefined,
    routes,
    callers: toCallers(operatorKeys),
    cors: undefined,
    tracer: offTracer,
    strictRequestId: false,
    baggageKeys: new Set(),
    maxBodyBytes,
    overloadStatus: 503,
    isLast: ({ method }) => method !== "GET" && method !== "HEAD", // a body nobody reads must not be taken for the next request
    unmatched: { toErrorBody },
    toFaultBody: toErrorBody,
    memory,
    log,
    now,
  });
  const { host, port } = server;
  const watch = metrics.eventLoopDelay.watch();
  log.info({ host, port }, "system server is listening");
  return {
    host,
    port,
    async close() {
      const reason = new RuntimeError("unavailable", "the system server is closing");
      await server.close({ timeoutMs: closeMs, lastWordsMs: 0, reason });
      watch[Symbol.dispose]();
    },
  };
}

// Lines that anybody can cause are summed up, unless an operator's key came with them.
function toCallers(operatorKeys: (() => ApiKeys) | undefined): Callers {
  const callers = createCallers({ apiKeys: undefined, operatorKeys }, "operators");
  return {
    ...callers,
    find(headers) {
      const caller = callers.find(headers);
      return { ...caller, isStranger: !caller.hasKey };
    },
  };
}

function toLimits(ms: number): HttpLimits {
  return {
    httpMaxHeaderBytes: 16_384,
    httpMaxHeaders: 100,
    httpMaxConnections: 256,
    httpHeaderTimeoutMs: ms,
    httpReceiveTimeoutMs: ms,
    httpKeepAliveTimeoutMs: ms,
    httpSendTimeoutMs: ms,
  };
}
