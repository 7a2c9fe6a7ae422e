/** Requests that no route takes: 404, 405 with the methods that are allowed, or a reason of their own; a pair of log lines each. */
import { RuntimeError } from "@dyn/runtime";
import type { Exchange } from "../http/exchange.ts";
import { sendJson } from "../http/reply.ts";
import { toErrorHeaders } from "../http/error-headers.ts";
import { beginRequestLog, type RequestLogOptions } from "../observe/request-log.ts";
import type { RouteEntry } from "../http/route.ts";
import { methodsOf, toUnmatchedBody } from "./routes.ts";

const maxShown = 256;

function covers(pattern: string, path: string): boolean {
  return pattern.endsWith("*") ? path.startsWith(pattern.slice(0, -1)) : pattern === path;
}

// What a base URL without its /v1, with two of them or with a / too many makes of a path.
function suggest(path: string, routes: readonly RouteEntry[]): string {
  const clean = path.replace(/\/{2,}/g, "/");
  const likely = [clean, `/v1${clean}`, clean.replace(/^\/v1(?=\/v1\/)/, "")].find((each) =>
    routes.some((route) => covers(route.path, each)),
  );
  return likely === undefined ? "" : `; did you mean ${likely.slice(0, maxShown)}?`;
}

/** Answer it. */
export function answerUnmatched(exchange: Exchange, routes: readonly RouteEntry[], options: RequestLogOptions): void {
  if (exchange.rejection) return refuseUnmatched(exchange, exchange.rejection, options);
  const path = pathOf(exchange);
  const { method = "" } = exchange.request;
  const shown = path.slice(0, maxShown);
  const allowed = [...new Set(routes.filter((route) => covers(route.path, path)).flatMap(methodsOf))];
  if (allowed.length === 0) {
    const problem = `Route not found: ${method} ${shown}${suggest(path, routes)}`;
    return refuseUnmatched(exchange, new RuntimeError("unknown_route", problem), options);
  }
  const allow = allowed.join(", ");
  const error = new RuntimeError("method_not_allowed", `${method} is not allowed on ${shown}, allowed: ${allow}`);
  refuseUnmatched(exchange, error, options, { allow });
}

/** Answer a request that never came to a route. */
export function refuseUnmatched(
  exchange: Exchange,
  error: RuntimeError,
  options: RequestLogOptions,
  headers?: Readonly<Record<string, string>>,
): void {
  const { status } = error.traits;
  const isSummed = !exchange.caller.hasKey;
  const facts = {
    endpoint: "unmatched",
    requestType: "unary",
    modelRequested: undefined,
    isKnown: false,
    isSummed,
  } as const;
  using requestLog = beginRequestLog(exchange, facts, options);
  requestLog.fail(error);
  sendJson(exchange, status, toUnmatchedBody(pathOf(exchange), error, exchange), {
    ...toErrorHeaders(error),
    ...headers,
  });
  requestLog.responded(status);
}

function pathOf({ request: { url = "" } }: Exchange): string {
  return (url.split("?", 1)[0] ?? "").replace(/(.)\/$/, "$1");
}
