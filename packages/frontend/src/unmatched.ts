/** Requests that no route takes: 404, or 405 with the methods that are allowed; a pair of log lines each. */
import { RuntimeError } from "@dyn/runtime";
import type { Exchange } from "./exchange.ts";
import { sendJson } from "./http/reply.ts";
import { beginRequestLog, type RequestLogOptions } from "./request-log.ts";
import { toUnmatchedBody, type RouteEntry } from "./routes.ts";

const maxShown = 256;

function covers(pattern: string, path: string): boolean {
  return pattern.endsWith("*") ? path.startsWith(pattern.slice(0, -1)) : pattern === path;
}

/** Answer it. */
export function answerUnmatched(exchange: Exchange, routes: readonly RouteEntry[], options: RequestLogOptions): void {
  const { method = "", url = "" } = exchange.request;
  const path = (url.split("?", 1)[0] ?? "").replace(/(.)\/$/, "$1");
  const shown = path.slice(0, maxShown);
  const allowed = [...new Set(routes.filter((route) => covers(route.path, path)).map((route) => route.method))].join(", ");
  const error =
    allowed === ""
      ? new RuntimeError("unknown_route", `Route not found: ${method} ${shown}`)
      : new RuntimeError("method_not_allowed", `${method} is not allowed on ${shown}, allowed: ${allowed}`);
  using requestLog = beginRequestLog(exchange, { endpoint: "unmatched", requestType: "unary", modelRequested: undefined, isKnown: false }, options);
  requestLog.fail(error);
  const body = toUnmatchedBody(path, error, exchange.identity.requestId);
  sendJson(exchange.response, error.traits.status, body, allowed === "" ? {} : { allow: allowed });
  requestLog.responded(error.traits.status);
}
