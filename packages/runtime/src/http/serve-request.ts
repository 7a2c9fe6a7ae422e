/** One HTTP request, from its arrival to its answer: `createServe` is the order of all steps. */
import type { IncomingMessage, RequestListener } from "node:http";
import { countOf } from "../counts.ts";
import { roundMs } from "../durations.ts";
import { RuntimeError } from "../errors.ts";
import { toRuntimeError } from "../thrown.ts";
import { logRefusedCaller } from "./api-keys.ts";
import { checkJsonContent, checkTextContent } from "./content.ts";
import { parseCodings, toTooLarge } from "./content-coding.ts";
import { beginExchange, logRefused, type Exchange, type ExchangeOptions, type ExchangeParts } from "./exchange.ts";
import { createIntake, type Intake, type IntakeOptions } from "./intake.ts";
import { RequestFault } from "./malformed.ts";
import { statedBytes } from "./read-body.ts";
import { sendJson, toErrorHeaders } from "./reply.ts";
import { pathOf, type Match, type RouteEntry, type RouteTable } from "./route.ts";

export interface ServeOptions extends ExchangeOptions, IntakeOptions {
  readonly routes: RouteTable;
  /** HTTP status of `overloaded`. */
  readonly overloadStatus: number;
  readonly unmatched: Unmatched;
}

/** What becomes of requests that no route takes. */
export interface Unmatched {
  toErrorBody(error: RuntimeError, exchange: Exchange): unknown;
  /** What may have been meant by a path, to be put behind "Route not found: …". */
  suggest?(path: string, routes: RouteTable): string;
  /** Answer it. Default: as routes that are not for inference do. */
  refuse?(exchange: Exchange, error: RuntimeError, headers: Readonly<Record<string, string>>): void;
}

type Unserved = Exclude<Match, { readonly type: "route" }>;

const maxShown = 256;
/** What a browser asks before a page's request is for no route. */
const preflight = { path: "*", kind: "operator" } as const;

/** Serve requests that have passed the gate. */
export function createServe(options: ServeOptions, parts: ExchangeParts): RequestListener {
  const { routes, cors } = options;
  const steps: Steps = { options, parts, intake: createIntake(options) };
  return (request, response) => {
    const found = routes.find(request.method ?? "", request.url ?? "");
    const isPreflight = cors?.isPreflight(request) === true;
    const known = found.type === "route" ? found.route : isPreflight ? preflight : undefined;
    const exchange = beginExchange(request, response, known, options, parts);
    if (found.type !== "route") return answerUnmatched(exchange, found, isPreflight, steps);

    const { route, rest } = found;
    const refusal = toRefusal(exchange, route, steps);
    if (refusal) {
      closeIfWaiting(exchange, parts);
      return refuse(exchange, refusal, route, steps);
    }
    if (awaitsContinue(request)) response.writeContinue();
    if (!route.takes) return handle(exchange, route, undefined, rest, steps);
    void readWhole(exchange, steps).then(
      (body) => handle(exchange, route, body, rest, steps),
      (error: unknown) => refuseUnread(exchange, error, route, steps),
    );
  };
}

interface Steps {
  readonly options: ServeOptions;
  readonly parts: ExchangeParts;
  readonly intake: Intake;
}

// Before the body is read: neither a stranger nor a flood costs more than its headers.
function toRefusal(
  exchange: Exchange,
  route: RouteEntry,
  { options, parts: { underWay }, intake }: Steps,
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
    if (route.takes === "json") checkJsonContent(request.headers);
    if (route.takes === "text") checkTextContent(request.headers);
  } catch (error) {
    return toRuntimeError(error);
  }
  // Only of a client that waits: one that sends already would not read the answer while its connection is closed under it.
  if (awaitsContinue(request) && statedBytes(request) > intake.limit.maxBytes) return toTooLarge(intake.limit);
  if (route.kind === "inference" && !underWay.takePlace(response))
    return new RuntimeError(
      "overloaded",
      `${countOf(underWay.limit, "request is", "requests are")} under way, the limit of this server`,
    );
  return intake.reserve(exchange, route);
}

// Whoever has it next is the only one that holds it.
function readWhole(exchange: Exchange, { intake }: Steps): Promise<Buffer> {
  const codings = parseCodings(exchange.request.headers["content-encoding"]);
  const body = intake.read(exchange);
  if (codings.length === 0) return body;
  return body.then((coded) => (coded.length === 0 ? coded : intake.decode(exchange, coded, codings)));
}

// No async function, which would hold the body until the answer is out.
function handle(exchange: Exchange, route: RouteEntry, body: unknown, rest: string, steps: Steps): void {
  steps.parts.underWay.work();
  let work: void | Promise<void>;
  try {
    work = route.handle({ exchange, body, rest });
  } catch (error) {
    work = Promise.reject(toRuntimeError(error));
  }
  void settle(work, exchange, route, steps);
}

async function settle(work: void | Promise<void>, exchange: Exchange, route: RouteEntry, steps: Steps): Promise<void> {
  const { options, parts } = steps;
  try {
    await work;
  } catch (error) {
    answerError(exchange, toRuntimeError(error), route, options);
  } finally {
    parts.underWay.done();
    if (route.kind !== "inference") logAnswer(exchange, options);
  }
}

// Its body has not come, or not as it should.
function refuseUnread(exchange: Exchange, error: unknown, route: RouteEntry, steps: Steps): void {
  const { log, request, response, caller, signal } = exchange;
  if (response.headersSent) return; // answered before its body was there
  const isFault = error instanceof RequestFault;
  if (isFault) logRefused(log, error, { socket: request.socket, hasKey: caller.hasKey });
  const reason = !isFault && signal.aborted ? signal.reason : error; // of an exchange that is over the rest will not come
  refuse(exchange, toRuntimeError(reason), route, steps);
}

function refuse(exchange: Exchange, error: RuntimeError, route: RouteEntry, { options }: Steps): void {
  answerError(exchange, error, route, options);
  if (route.kind !== "inference") logAnswer(exchange, options);
}

function answerError(exchange: Exchange, error: RuntimeError, route: RouteEntry, options: ServeOptions): void {
  if (route.refuse) return route.refuse(exchange, error);
  sendError(exchange, error, route.toErrorBody(error, exchange), options.overloadStatus);
}

function sendError(
  exchange: Exchange,
  error: RuntimeError,
  body: unknown,
  overloadStatus: number,
  headers?: Readonly<Record<string, string>>,
): void {
  const { response, log } = exchange;
  if (error.traits.metric === "internal") log.error({ error: error.cause ?? error }, "request failed");
  if (response.headersSent || response.destroyed) return;
  const status = error.code === "overloaded" ? overloadStatus : error.traits.status;
  sendJson(exchange, status, body, { ...toErrorHeaders(error), ...headers });
}

function answerUnmatched(exchange: Exchange, found: Unserved, isPreflight: boolean, { options, parts }: Steps): void {
  const { unmatched, cors } = options;
  closeIfWaiting(exchange, parts);
  if (isPreflight && cors && !exchange.rejection && found.type !== "unreadable") {
    cors.answerPreflight(exchange);
    return logAnswer(exchange, options);
  }
  const headers = found.type === "method" ? { allow: found.allowed.join(", ") } : {};
  const error = exchange.rejection ?? toUnmatchedError(exchange, found, options);
  if (unmatched.refuse) return unmatched.refuse(exchange, error, exchange.rejection ? {} : headers);
  sendError(exchange, error, unmatched.toErrorBody(error, exchange), options.overloadStatus, headers);
  logAnswer(exchange, options);
}

function toUnmatchedError({ request }: Exchange, found: Unserved, { routes, unmatched }: ServeOptions): RuntimeError {
  if (found.type === "unreadable")
    return new RuntimeError("invalid_argument", "the path is not valid percent-encoding");
  const path = pathOf(request.url ?? "");
  const shown = `${request.method} ${path.slice(0, maxShown)}`;
  if (found.type === "path")
    return new RuntimeError("unknown_route", `Route not found: ${shown}${unmatched.suggest?.(path, routes) ?? ""}`);
  const method = shown.replace(" ", " is not allowed on ");
  return new RuntimeError("method_not_allowed", `${method}, allowed: ${found.allowed.join(", ")}`);
}

/** True if the client waits for a word before it sends its body. Any other expectation is not handed on, and HTTP/1.0 has none. */
function awaitsContinue({ headers, httpVersion }: IncomingMessage): boolean {
  return headers.expect !== undefined && httpVersion === "1.1";
}

// A client that is answered without having been asked for its body may or may not send it.
function closeIfWaiting({ request, response }: Exchange, { gate }: ExchangeParts): void {
  if (awaitsContinue(request)) gate.endAfter(response);
}

// Probes and lists: silent at info.
function logAnswer({ log, response, startedAt }: Exchange, { now }: ServeOptions): void {
  const fields = { status: response.statusCode, latency_ms: roundMs(now() - startedAt) };
  log.child({ target: "system_span" }).debug(fields, "http response sent");
}
