/** The requests of the HTTP server: begins an exchange for each, finds its route, and answers what has none or is refused before its body is read. */
import { RuntimeError, toRuntimeError } from "@dyn/runtime";
import {
  countOf,
  parseCodings,
  RequestFault,
  roundMs,
  statedBytes,
  toTooLarge,
  logRefusedCaller,
} from "@dyn/runtime/internal";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { beginExchange, logRefused, type Exchange, type ExchangeOptions } from "../http/exchange.ts";
import { checkContent } from "../http/content.ts";
import { createPlaces, type Places } from "../http/places.ts";
import type { Tally } from "../http/tally.ts";
import { toErrorHeaders } from "../http/error-headers.ts";
import { sendJson } from "../http/reply.ts";
import { createIntake, type Intake, type IntakeOptions } from "./intake.ts";
import { awaitsContinue, type HttpListener } from "./listener.ts";
import type { RequestLogOptions } from "../observe/request-log.ts";
import type { RouteEntry } from "../http/route.ts";
import { methodsOf } from "./routes.ts";
import { answerUnmatched, refuseUnmatched } from "./unmatched.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Set by the first hook. */
    exchange: Exchange | undefined;
  }
}

type ExchangeOf = (request: FastifyRequest, reply: FastifyReply) => Exchange;

export interface AppOptions extends ExchangeOptions, RequestLogOptions, IntakeOptions {
  /** Inference requests under way at a time. */
  readonly maxConcurrentRequests: number;
  /** HTTP status of `overloaded`. */
  readonly overloadStatus: number;
  readonly routes: readonly RouteEntry[];
  readonly isDraining: () => boolean;
  /** Counts those at work. */
  readonly handlers: Tally;
}

/** Create it on the listener's server; it does not listen yet. */
export function createApp(options: AppOptions, { create, refuse }: HttpListener): FastifyInstance {
  const byUrl = new Map(options.routes.map((route) => [route.path, route]));
  const exchangeOf: ExchangeOf = (request, reply) => {
    request.exchange ??= beginExchange(request.raw, reply.raw, options, () =>
      options.cors?.isPreflight(request.raw)
        ? { path: "*", kind: "operator" }
        : byUrl.get(request.routeOptions.url ?? ""),
    );
    return request.exchange;
  };
  const app = Fastify({
    logger: false,
    return503OnClosing: false,
    serverFactory: create,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 1024 },
    clientErrorHandler: refuse,
    frameworkErrors: (_error, request, reply) => {
      const exchange = exchangeOf(request, reply);
      reply.hijack();
      refuseUnmatched(
        exchange,
        exchange.rejection ?? new RuntimeError("invalid_argument", "the path is not valid percent-encoding"),
        options,
      );
    },
  });
  app.decorateRequest("exchange", undefined);
  app.addHook("onRequest", (request, reply, done) => {
    const exchange = exchangeOf(request, reply);
    if (options.isDraining()) reply.raw.setHeader("connection", "close");
    if (!request.is404) return done();
    reply.hijack(); // Fastify would wait for the body
    answerWithoutRoute(exchange, options);
  });
  const parts: RouteParts = {
    exchangeOf,
    places: createPlaces(options.maxConcurrentRequests),
    intake: createIntake(options),
    options,
  };
  // Bodies stay bytes: whether they are JSON is judged where the answer's shape is known.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", async ({ exchange }: FastifyRequest) => exchange && parts.intake.read(exchange));
  for (const route of options.routes) addRoute(app, route, parts);
  app.setErrorHandler((error: unknown, request, reply) => {
    if (reply.raw.headersSent) return void reply.hijack(); // answered before its body was there
    const exchange = exchangeOf(request, reply);
    const route = byUrl.get(request.routeOptions.url ?? "");
    reply.hijack();
    if (error instanceof RequestFault)
      logRefused(exchange.log, error, { socket: exchange.request.socket, hasKey: exchange.caller.hasKey }); // its body is
    if (!route) return answerUnmatched(exchange, options.routes, options);
    answerError(exchange, toHttpError(error, exchange), route, options);
    if (route.kind !== "inference") logSystem(exchange, options.now);
  });
  return app;
}

function answerWithoutRoute(exchange: Exchange, options: AppOptions): void {
  closeIfWaiting(exchange);
  if (exchange.rejection || !options.cors?.isPreflight(exchange.request))
    return answerUnmatched(exchange, options.routes, options);
  options.cors.answerPreflight(exchange);
  logSystem(exchange, options.now);
}

interface RouteParts {
  readonly exchangeOf: ExchangeOf;
  readonly places: Places;
  readonly intake: Intake;
  readonly options: AppOptions;
}

function addRoute(app: FastifyInstance, route: RouteEntry, parts: RouteParts): void {
  const { exchangeOf, options } = parts;
  const { now, handlers } = options;
  app.route({
    method: [...methodsOf(route)],
    url: route.path,
    exposeHeadRoute: false,
    onRequest(request, reply, done) {
      const exchange = exchangeOf(request, reply);
      const refusal = toRefusal(exchange, route, parts);
      if (!refusal) {
        if (awaitsContinue(request.raw)) reply.raw.writeContinue();
        return done();
      }
      reply.hijack();
      closeIfWaiting(exchange);
      answerError(exchange, refusal, route, options);
      if (route.kind !== "inference") logSystem(exchange, now);
    },
    async handler(request, reply) {
      reply.hijack(); // handlers write the raw answer
      const exchange = exchangeOf(request, reply);
      handlers.begin();
      const rest = (request.params as { "*"?: string })["*"] ?? ""; // what Fastify puts there for a wildcard
      try {
        await handle(route, exchange, takeBody(request), rest, parts);
      } catch (error) {
        answerError(exchange, toRuntimeError(error), route, options);
      } finally {
        handlers.end();
        if (route.kind !== "inference") logSystem(exchange, now);
      }
    },
  });
}

// Nobody holds the bytes of a body once it has been read.
function takeBody(request: FastifyRequest): unknown {
  const { body } = request;
  request.body = undefined;
  return body;
}

function handle(
  route: RouteEntry,
  exchange: Exchange,
  body: unknown,
  rest: string,
  parts: RouteParts,
): void | Promise<void> {
  const codings = route.method === "POST" ? parseCodings(exchange.request.headers["content-encoding"]) : [];
  if (codings.length === 0 || !Buffer.isBuffer(body) || body.length === 0)
    return route.handle({ exchange, body, rest });
  return parts.intake
    .decode(exchange, body, codings)
    .then((decoded) => route.handle({ exchange, body: decoded, rest }));
}

// A client that is answered without having been asked for its body may or may not send it.
function closeIfWaiting({ request, response }: Exchange): void {
  if (awaitsContinue(request)) response.setHeader("connection", "close");
}

// Before the body is read: neither a stranger nor a flood costs more than its headers.
function toRefusal(
  exchange: Exchange,
  route: RouteEntry,
  { places, intake, options }: RouteParts,
): RuntimeError | undefined {
  const { caller, request, response, rejection } = exchange;
  if (rejection) return rejection;
  const stranger = options.callers.refuse(caller, route.audience, request.headers);
  if (stranger) {
    logRefusedCaller(exchange.log, stranger, request);
    response.setHeader("www-authenticate", "Bearer");
    return stranger;
  }
  try {
    if (route.method === "POST") checkContent(request.headers);
  } catch (error) {
    return toRuntimeError(error);
  }
  // Only of a client that waits: one that sends already would not read the answer while its connection is closed under it.
  if (awaitsContinue(request) && statedBytes(request) > intake.limit.maxBytes) return toTooLarge(intake.limit);
  if (route.kind === "inference" && !places.take(response))
    return new RuntimeError(
      "overloaded",
      `${countOf(places.limit, "request is", "requests are")} under way, the limit of this frontend`,
    );
  return intake.reserve(exchange, route);
}

// Probes and lists: silent at info.
function logSystem({ log, response, startedAt }: Exchange, now: () => number): void {
  const fields = { status: response.statusCode, latency_ms: roundMs(now() - startedAt) };
  log.child({ target: "system_span" }).debug(fields, "http response sent");
}

// What went wrong before the handler was asked.
function toHttpError(error: unknown, { signal }: Exchange): RuntimeError {
  if (error instanceof RequestFault) return error;
  if (signal.aborted) return toRuntimeError(signal.reason); // the rest of the body will not come
  const status = error instanceof Error && "statusCode" in error ? error.statusCode : undefined;
  if (error instanceof Error && typeof status === "number" && status < 500)
    return new RuntimeError("invalid_argument", error.message, {
      cause: error,
      publicMessage: "the request cannot be read",
    });
  return toRuntimeError(error);
}

function answerError(exchange: Exchange, error: RuntimeError, route: RouteEntry, { overloadStatus }: AppOptions): void {
  if (route.refuse) return route.refuse(exchange, error);
  const { response, log } = exchange;
  if (error.traits.metric === "internal") log.error({ error: error.cause ?? error }, "request failed");
  if (response.headersSent || response.destroyed) return;
  const status = error.code === "overloaded" ? overloadStatus : error.traits.status;
  sendJson(exchange, status, route.toErrorBody(error, exchange), toErrorHeaders(error));
}
