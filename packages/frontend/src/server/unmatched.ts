/** Requests that no route takes: a pair of log lines each, and a guess at what was meant. */
import type { RuntimeError } from "@dyn/runtime";
import {
  pathOf,
  sendJson,
  toErrorHeaders,
  type Exchange,
  type RouteTable,
  type Unmatched,
} from "@dyn/runtime/internal";
import * as anthropic from "../anthropic/errors.ts";
import { toErrorBody as toExposedBody } from "../exposed/errors.ts";
import { beginRequestLog, type RequestLogOptions } from "../observe/request-log.ts";
import type { ExposedPath } from "../settings/exposed-paths.ts";
import { toSharedBody } from "./routes.ts";

const maxShown = 256;

/** What becomes of them at a frontend. */
export function createUnmatched(options: RequestLogOptions, exposed: readonly ExposedPath[]): Unmatched {
  const paths = new Set(exposed.map(({ path }) => path));
  const toUnmatchedBody = (error: RuntimeError, exchange: Exchange): unknown => toBody(error, exchange, paths);
  return {
    toErrorBody: toUnmatchedBody,
    suggest,
    refuse(exchange, error, headers) {
      const { status } = error.traits;
      const isSummed = !exchange.caller.hasKey;
      const kind = {
        endpoint: "unmatched",
        requestType: "unary",
        modelAsked: undefined,
        isKnown: false,
        isSummed,
      } as const;
      using requestLog = beginRequestLog(exchange, kind, options);
      requestLog.fail(error);
      sendJson(exchange, status, toUnmatchedBody(error, exchange), { ...toErrorHeaders(error), ...headers });
      requestLog.responded(status);
    },
  };
}

// What a base URL without its /v1, with two of them or with a / too many makes of a path.
function suggest(path: string, routes: RouteTable): string {
  const clean = path.replace(/\/{2,}/g, "/");
  const likely = [clean, `/v1${clean}`, clean.replace(/^\/v1(?=\/v1\/)/, "")].find((each) => routes.has(each));
  return likely === undefined ? "" : `; did you mean ${likely.slice(0, maxShown)}?`;
}

// That of the endpoint whose path it is; else Anthropic's below its path and for its clients, else OpenAI's.
function toBody(error: RuntimeError, exchange: Exchange, exposed: ReadonlySet<string>): unknown {
  const path = pathOf(exchange.request.url ?? "");
  if (exposed.has(path)) return toExposedBody(error, exchange.identity.requestId);
  return /^\/v1\/messages(?:\/|$)/.test(path)
    ? anthropic.toErrorBody(error, exchange.identity.requestId)
    : toSharedBody(error, exchange);
}
