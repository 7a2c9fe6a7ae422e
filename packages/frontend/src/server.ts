/** The HTTP server: begins an exchange for each request, finds its route, and answers everything that has none. */
import type { AddressInfo } from "node:net";
import { createEndReport, RequestFault, RuntimeError, toRuntimeError, within, type HttpLimits, type Logger } from "@dyn/runtime";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { beginExchange, logRefused, type Exchange, type ExchangeOptions } from "./exchange.ts";
import { toMediaTypeError } from "./http/body.ts";
import { toKeyError } from "./http/api-keys.ts";
import { createPlaces, type Places } from "./http/places.ts";
import { createTally, type Tally } from "./http/tally.ts";
import { sendJson } from "./http/reply.ts";
import { toRetryHeaders } from "./inference.ts";
import { createHttpListener, type HttpListener } from "./listener.ts";
import type { RequestLogOptions } from "./request-log.ts";
import { methodsOf, type RouteEntry } from "./routes.ts";
import type { HttpTls } from "./security.ts";
import { answerUnmatched, refuseUnmatched } from "./unmatched.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Set by the first hook. */
    exchange: Exchange | undefined;
  }
}

/** Characters of a header quoted in an answer. */
const maxShown = 128;

type ExchangeOf = (request: FastifyRequest, reply: FastifyReply) => Exchange;

export interface ServerOptions extends Omit<ExchangeOptions, "open" | "faultOf" | "sendTimeoutMs">, RequestLogOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly maxBodyBytes: number;
  readonly limits: HttpLimits;
  /** Inference requests under way at a time. */
  readonly maxConcurrentRequests: number;
  /** Undefined = plain HTTP. */
  readonly tls: HttpTls | undefined;
  readonly routes: readonly RouteEntry[];
  readonly isDraining: () => boolean;
}

export interface HttpServer {
  readonly host: string;
  readonly port: number;
  /** Accept no more; resolves when the last answer is out or `timeoutMs` is over. */
  close(timeoutMs: number): Promise<void>;
}

/** Start listening. @throws RuntimeError `unavailable` if the address is taken or not ours. */
export async function listenHttp(options: ServerOptions): Promise<HttpServer> {
  const { host, port, log, now, limits, tls } = options;
  const open = new Set<AbortController>();
  const listener = createHttpListener({ limits, tls, log, now });
  const { faultOf } = listener.gate;
  const handlers = createTally();
  const app = createApp({ ...options, open, faultOf, sendTimeoutMs: limits.sendTimeoutMs, handlers }, listener);
  try {
    await app.listen({ host, port });
  } catch (cause) {
    listener[Symbol.dispose]();
    const isTaken = cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
    const advice = isTaken ? "; choose another port with --http-port or DYN_HTTP_PORT" : "";
    const address = `${options.tls ? "https" : "http"}://${host}:${port}`;
    throw new RuntimeError("unavailable", `cannot listen on ${address}: ${toRuntimeError(cause).message}${advice}`, { cause });
  }
  const bound = app.server.address() as AddressInfo; // a TCP server that listens
  const close = (timeoutMs: number): Promise<void> =>
    closeApp(app, { open, handlers, log, now, timeoutMs }).finally(() => listener[Symbol.dispose]());
  return { host: bound.address, port: bound.port, close };
}

/** How long the answers that are ended may take to leave, ms. */
const lastWordsMs = 1_000;

interface CloseOptions {
  readonly open: ReadonlySet<AbortController>;
  readonly handlers: Tally;
  readonly log: Logger;
  readonly now: () => number;
  readonly timeoutMs: number;
}

// Sockets that go idle after close() began are not closed by it: look again until all are gone.
async function closeApp(app: FastifyInstance, { open, handlers, log, now, timeoutMs }: CloseOptions): Promise<void> {
  const begunAt = now();
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

function createApp(options: ServerOptions & ExchangeOptions & { readonly handlers: Tally }, { gate, create, refuse }: HttpListener): FastifyInstance {
  const byUrl = new Map(options.routes.map((route) => [route.path, route]));
  const exchangeOf: ExchangeOf = (request, reply) => {
    request.exchange ??= beginExchange(request.raw, reply.raw, options, () => byUrl.get(request.routeOptions.url ?? ""));
    return request.exchange;
  };
  const app = Fastify({
    logger: false,
    bodyLimit: options.maxBodyBytes,
    return503OnClosing: false,
    serverFactory: create,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 1024 },
    clientErrorHandler: refuse,
    frameworkErrors: (_error, request, reply) => {
      const exchange = exchangeOf(request, reply);
      reply.hijack();
      refuseUnmatched(exchange, exchange.rejection ?? new RuntimeError("invalid_argument", "the path is not valid percent-encoding"), options);
    },
  });
  app.server.on("checkExpectation", (request, response) => {
    if (!gate.enter(request, response)) return;
    const expected = JSON.stringify(request.headers.expect?.slice(0, maxShown));
    const error = new RequestFault(417, `the expectation ${expected} cannot be met, only "100-continue" can`);
    const exchange = beginExchange(request, response, options, () => undefined);
    refuseUnmatched(exchange, exchange.rejection ?? error, options);
  });
  app.decorateRequest("exchange", undefined);
  // Bodies stay bytes: whether they are JSON is judged where the answer's shape is known.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  app.addHook("onRequest", (request, reply, done) => {
    exchangeOf(request, reply);
    if (options.isDraining()) reply.raw.setHeader("connection", "close");
    done();
  });
  const places = createPlaces(options.maxConcurrentRequests);
  const { handlers, now } = options;
  const parts: RouteParts = { exchangeOf, places, handlers, asksForKeys: options.apiKeys !== undefined, now };
  for (const route of options.routes) addRoute(app, route, parts);
  app.setErrorHandler((error: unknown, request, reply) => {
    if (reply.raw.headersSent) return void reply.hijack(); // answered before its body was there
    const exchange = exchangeOf(request, reply);
    const route = byUrl.get(request.routeOptions.url ?? "");
    reply.hijack();
    if (error instanceof RequestFault) logRefused(exchange.log, error, exchange.request.socket); // its body is
    if (route) answerError(exchange, toHttpError(error, exchange, options.maxBodyBytes), route);
    if (route && !route.refuse) logSystem(exchange, options.now);
    if (!route) answerUnmatched(exchange, options.routes, options);
  });
  app.setNotFoundHandler((request, reply) => {
    const exchange = exchangeOf(request, reply);
    reply.hijack();
    answerUnmatched(exchange, options.routes, options);
  });
  return app;
}

interface RouteParts {
  readonly exchangeOf: ExchangeOf;
  readonly places: Places;
  readonly handlers: Tally;
  readonly asksForKeys: boolean;
  readonly now: () => number;
}

function addRoute(app: FastifyInstance, route: RouteEntry, parts: RouteParts): void {
  const { exchangeOf, handlers, now } = parts;
  app.route({
    method: [...methodsOf(route)],
    url: route.path,
    exposeHeadRoute: false,
    onRequest(request, reply, done) {
      const exchange = exchangeOf(request, reply);
      const refusal = toRefusal(exchange, route, parts);
      if (!refusal) return done();
      reply.hijack();
      answerError(exchange, refusal, route);
      if (!route.refuse) logSystem(exchange, now);
    },
    async handler(request, reply) {
      reply.hijack(); // handlers write the raw answer
      const exchange = exchangeOf(request, reply);
      handlers.begin();
      const rest = (request.params as { "*"?: string })["*"] ?? ""; // what Fastify puts there for a wildcard
      try {
        await route.handle({ exchange, body: request.body, rest });
      } catch (error) {
        answerError(exchange, toRuntimeError(error), route);
      } finally {
        handlers.end();
        if (!route.refuse) logSystem(exchange, now);
      }
    },
  });
}

// Before the body is read: neither a stranger nor a flood costs more than its headers.
function toRefusal(exchange: Exchange, route: RouteEntry, { asksForKeys, places }: RouteParts): RuntimeError | undefined {
  const { apiKey, request, response, rejection } = exchange;
  if (rejection) return rejection;
  if (asksForKeys && !route.isOpen && apiKey === undefined) {
    response.setHeader("www-authenticate", "Bearer");
    return toKeyError(request.headers);
  }
  if (!route.refuse || places.take(response)) return undefined;
  return new RuntimeError("overloaded", `${places.limit} requests are under way, the limit of this frontend`);
}

// Probes and lists: silent at info.
function logSystem({ log, response, startedAt }: Exchange, now: () => number): void {
  const fields = { status: response.statusCode, latency_ms: Math.round((now() - startedAt) * 1000) / 1000 };
  log.child({ target: "system_span" }).debug(fields, "http response sent");
}

// What went wrong before the handler was asked.
function toHttpError(error: unknown, { request, signal }: Exchange, maxBodyBytes: number): RuntimeError {
  if (error instanceof RequestFault) return error;
  if (signal.aborted) return toRuntimeError(signal.reason); // the rest of the body will not come
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "FST_ERR_CTP_INVALID_MEDIA_TYPE") return toMediaTypeError(request.headers["content-type"]);
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE") {
    return new RuntimeError("too_large", `the request body is larger than ${maxBodyBytes} bytes, the limit set by DYN_HTTP_BODY_LIMIT_MB`, {
      cause: error,
    });
  }
  const status = error instanceof Error && "statusCode" in error ? error.statusCode : undefined;
  if (error instanceof Error && typeof status === "number" && status < 500)
    return new RuntimeError("invalid_argument", error.message, { cause: error });
  return toRuntimeError(error);
}

function answerError(exchange: Exchange, error: RuntimeError, route: RouteEntry): void {
  if (route.refuse) return route.refuse(exchange, error);
  const { response, log } = exchange;
  if (error.traits.metric === "internal") log.error({ error: error.cause ?? error }, "request failed");
  if (response.headersSent || response.destroyed) return;
  sendJson(exchange, error.traits.status, route.toErrorBody(error, exchange), toRetryHeaders(error));
}
