/** The system server of a process: /live, /health and /metrics over HTTP, for probes and Prometheus, and routes of whoever runs there.
 *  Like Dynamo's system_status_server.rs, but the three differ. */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { formatHostPort, isLoopback } from "../address.ts";
import type { Condition } from "../condition.ts";
import { roundMs } from "../durations.ts";
import { RuntimeError } from "../errors.ts";
import { logRefusedCaller, toKeyError, type ApiKeys } from "../http/api-keys.ts";
import { createContentDecoder } from "../http/content-coding.ts";
import { createHttpGate, type HttpGate } from "../http/gate.ts";
import type { HostRules } from "../http/hosts.ts";
import { limitServer, toServerOptions, type HttpLimits } from "../http/limits.ts";
import { sharePages } from "../http/shared-pages.ts";
import { createRequestId, isSaneClientId, isUuid } from "../ids.ts";
import { chooseMetricsFormat, renderMetrics, type MetricsFormat } from "../metrics/exposition.ts";
import { within } from "../lifetime.ts";
import type { Logger } from "../logging/logger.ts";
import type { MemoryBudget } from "../memory-budget.ts";
import type { RuntimeMetrics } from "../metrics/runtime-metrics.ts";
import { createReadiness, type EndpointReadiness } from "./readiness.ts";
import { answerRoute, type OrderParts, type SystemRoute } from "./route.ts";
import { createStatus, type Status, type StatusSources } from "./status.ts";

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
}

/** One per process, shared by its runtimes. */
export interface System {
  /** Undefined when there is no server. */
  readonly port: number | undefined;
  /** Have it answer at one more path, until it closes. @throws RuntimeError `invalid_argument` if the path is taken. */
  addRoute(path: string, route: SystemRoute): void;
  /** A runtime uses it until it leaves. The server closes when the last has left. `discovery` says how the runtime's is. */
  join(discovery: () => Condition): Membership;
}

export interface Membership {
  /** An endpoint that should serve. */
  expect(endpoint: string): EndpointReadiness;
  /** The process is not ready until this member has left. */
  drain(): void;
  /** Idempotent. */
  leave(): Promise<void>;
}

/** Answers that are still under way when the server closes have this long. */
const closeMs = 500;
const maxShown = 256;
const hostsSetting = "--system-allowed-hosts (DYN_SYSTEM_ALLOWED_HOSTS)";
const ownPaths: ReadonlySet<string> = new Set(["/", "/live", "/health", "/metrics"]);
/** Those of them that ask for no key: probes have none. */
const openPaths: ReadonlySet<string> = new Set(["/", "/live", "/health"]);

const openWarning =
  "everybody who reaches the system server can give it orders: set --operator-keys-file, or listen on 127.0.0.1 with --system-host";

/** Start the server, if there is to be one. @throws RuntimeError `unavailable` if the address cannot be had. */
export async function openSystem(options: SystemOptions): Promise<System> {
  const readiness = createReadiness();
  const routes = new Map<string, SystemRoute>();
  const discoveries = new Set<() => Condition>(); // of the members
  const server = options.port < 0 ? undefined : await startServer(options, { readiness, routes, discoveries });
  const leave = async (discovery: () => Condition): Promise<void> => {
    discoveries.delete(discovery);
    if (discoveries.size === 0) await server?.close();
  };
  return {
    port: server?.port,
    addRoute(path, route) {
      if (ownPaths.has(path) || routes.has(path))
        throw new RuntimeError("invalid_argument", `${path} of the system server is taken`);
      routes.set(path, route);
      const isOpen = server && !isLoopback(server.host) && !options.operatorKeys;
      if (isOpen && Object.keys(route.orders).length > 0)
        options.log.warnOnce({ host: server.host, path }, openWarning);
    },
    join(discovery) {
      discoveries.add(discovery);
      let draining: { over(): void } | undefined;
      let leaving: Promise<void> | undefined;
      return {
        expect: (endpoint) => readiness.expect(endpoint),
        drain() {
          draining ??= readiness.drain();
        },
        leave() {
          draining?.over();
          leaving ??= leave(discovery);
          return leaving;
        },
      };
    },
  };
}

interface ServerParts extends StatusSources {
  readonly routes: ReadonlyMap<string, SystemRoute>;
}

interface RunningServer {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

async function startServer(options: SystemOptions, parts: ServerParts): Promise<RunningServer> {
  const { host, port, timeoutMs, operatorKeys, metrics, memory, log, now } = options;
  const limits = toLimits(timeoutMs);
  const hosts: HostRules = {
    allowed: options.allowedHosts,
    setting: hostsSetting,
    isOpen: !operatorKeys,
    isForOwnPages: true,
  };
  const gate = createHttpGate({ limits, now, hosts, toAnswer: ({ message }) => ({ body: { error: message } }) });
  const startedAt = now();
  const toStatus = createStatus(parts, () => now() - startedAt);
  const orders: OrderParts = { decoder: createContentDecoder(), memory, timeoutMs };
  const toMetricsPage = sharePages((format: MetricsFormat) => renderMetrics(metrics.registry, format), now);
  const systemLog = log.child({ target: "system_span" });
  const serve: RequestListener = (request, response) => {
    const arrivedAt = now();
    response.once("finish", () => logAnswer(systemLog, request, response, now() - arrivedAt));
    response.on("timeout", (socket: Socket) => {
      if (socket.writableLength > 0) socket.destroy(); // its client does not read
    });
    answer(request, response, gate, { toMetricsPage, toStatus, routes: parts.routes, orders, operatorKeys, log }).catch(
      (error: unknown) => {
        const hasLeft = request.destroyed && !request.complete; // its client, in the middle of an order
        if (!hasLeft) log.error({ error }, "system server could not answer");
        response.destroy();
      },
    );
  };
  const listener: RequestListener = (request, response) => gate.enter(request, response, serve);
  const server = createServer(toServerOptions(limits), listener);
  server.on("checkExpectation", listener);
  limitServer(server, limits);
  gate.guard(server);
  server.on("clientError", gate.refuse);
  try {
    await listen(server, { host, port });
  } catch (error) {
    gate[Symbol.dispose]();
    throw error;
  }
  server.on("error", (error) => log.error({ error }, "system server failed"));
  const watch = metrics.eventLoopDelay.watch();
  const bound = server.address() as AddressInfo; // a TCP server that listens
  log.info({ host: bound.address, port: bound.port }, "system server is listening");
  return {
    host: bound.address,
    port: bound.port,
    async close() {
      await closeServer(server);
      gate[Symbol.dispose]();
      watch[Symbol.dispose]();
    },
  };
}

function listen(server: Server, { host, port }: Pick<SystemOptions, "host" | "port">): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const message = `cannot listen on ${formatHostPort(host, port)} for DYN_SYSTEM_PORT: ${cause.message}`;
      reject(new RuntimeError("unavailable", message, { cause, publicMessage: "the system server cannot listen" }));
    });
    server.listen({ host, port }, resolve);
  });
}

function toLimits(ms: number): HttpLimits {
  const times = { headerTimeoutMs: ms, receiveTimeoutMs: ms, keepAliveTimeoutMs: ms, sendTimeoutMs: ms };
  return { ...times, maxHeaderBytes: 16_384, maxHeaders: 100, maxConnections: 256 };
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  if (await within(closed, closeMs)) return;
  server.closeAllConnections();
  await closed;
}

interface Sources {
  readonly toMetricsPage: (format: MetricsFormat) => ReturnType<typeof renderMetrics>;
  readonly toStatus: (hasDetails: boolean) => Status;
  readonly routes: ReadonlyMap<string, SystemRoute>;
  readonly orders: OrderParts;
  readonly operatorKeys: (() => ApiKeys) | undefined;
  readonly log: Logger;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  gate: HttpGate,
  sources: Sources,
): Promise<void> {
  const { routes, orders, operatorKeys } = sources;
  setIds(request, response);
  const fault = gate.faultOf(request);
  if (fault) return sendJson(response, fault.status, { error: fault.message });
  const { method = "", url = "" } = request;
  const path = url.split("?", 1)[0] ?? "";
  const route = routes.get(path);
  if (!route && !ownPaths.has(path))
    return sendJson(response, 404, { error: `Route not found: ${path.slice(0, maxShown)}` });
  const methods = ["GET", "HEAD", ...Object.keys(route?.orders ?? {})];
  if (!methods.includes(method)) {
    response.setHeader("allow", methods.join(", "));
    return sendJson(response, 405, { error: `${method} is not allowed on ${path}` });
  }
  const isOperator = hasKey(request, operatorKeys);
  if (!isOperator && !openPaths.has(path)) return refuseStranger(request, response, sources.log);
  if (!route) return showOwn(path, { request, response, isOperator }, sources);
  const { status, body, headers } = await answerRoute(request, route, orders);
  sendJson(response, status, body, headers);
}

interface Asked {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly isOperator: boolean;
}

async function showOwn(
  path: string,
  { request, response, isOperator }: Asked,
  { toMetricsPage, toStatus, routes }: Sources,
): Promise<void> {
  if (path === "/metrics") {
    const { contentType, body } = await toMetricsPage(chooseMetricsFormat(request.headers.accept));
    return send(response, 200, contentType, body);
  }
  if (path === "/") return sendJson(response, 200, { name: "dyn system server", routes: listRoutes(routes) });
  const { live, isReady, health } = toStatus(isOperator);
  return path === "/live" ? sendJson(response, 200, live) : sendJson(response, isReady ? 200 : 503, health);
}

function hasKey({ headers }: IncomingMessage, keys: (() => ApiKeys) | undefined): boolean {
  return !keys || keys().find(headers) !== undefined;
}

function refuseStranger(request: IncomingMessage, response: ServerResponse, log: Logger): void {
  const error = toKeyError(request.headers, "operator's key");
  logRefusedCaller(log, error, request);
  sendJson(response, error.traits.status, { error: error.message }, { "www-authenticate": "Bearer" });
}

function listRoutes(routes: ReadonlyMap<string, SystemRoute>): string[] {
  const added = [...routes].flatMap(([path, { orders }]) =>
    ["GET", ...Object.keys(orders)].map((method) => `${method} ${path}`),
  );
  return [...[...ownPaths].map((path) => `GET ${path}`), ...added];
}

// As a frontend says it of its own probes: silent at info.
function logAnswer(
  log: Logger,
  { method = "", url = "" }: IncomingMessage,
  response: ServerResponse,
  ms: number,
): void {
  const [request_id, theirs] = [response.getHeader("request-id"), response.getHeader("x-request-id")];
  const fields = {
    request_id,
    ...(theirs !== request_id && { x_request_id: theirs }),
    method,
    uri: url,
    status: response.statusCode,
    latency_ms: roundMs(ms),
  };
  log.debug(fields, "http response sent");
}

function setIds({ headers }: IncomingMessage, response: ServerResponse): void {
  const { "request-id": given, "x-request-id": theirs } = headers;
  const requestId = typeof given === "string" && isUuid(given) ? given : createRequestId();
  response.setHeader("x-request-id", typeof theirs === "string" && isSaneClientId(theirs) ? theirs : requestId);
  response.setHeader("request-id", requestId);
}

function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers?: Readonly<Record<string, string>>,
): void {
  send(response, status, "application/json", JSON.stringify(body), headers);
}

function send(
  response: ServerResponse,
  status: number,
  contentType: string,
  body: string,
  headers?: Readonly<Record<string, string>>,
): void {
  // A body nobody reads must not be taken for the next request.
  const ending = response.req.method === "GET" || response.req.method === "HEAD" ? {} : { connection: "close" };
  response.writeHead(status, {
    "content-type": contentType,
    "content-length": Buffer.byteLength(body),
    ...headers,
    ...ending,
  });
  response.end(body);
}
