/** A host of its own, with routes as a test needs them. */
import { openHost, type HostEnd, type HostOptions, type HttpHost } from "../../../packages/runtime/src/http/host.ts";
import { RuntimeError, toPublicMessage } from "../../../packages/runtime/src/errors.ts";
import { createCallers } from "../../../packages/runtime/src/http/callers.ts";
import type { HttpLimits } from "../../../packages/runtime/src/http/limits.ts";
import { createRouteTable, type RouteEntry, type RouteInput } from "../../../packages/runtime/src/http/route.ts";
import { parseLogFilter } from "../../../packages/runtime/src/logging/filter.ts";
import { createMemoryBudget } from "../../../packages/runtime/src/memory-budget.ts";
import { createRuntimeMetrics } from "../../../packages/runtime/src/metrics/runtime-metrics.ts";
import { offTracer } from "../../../packages/runtime/src/trace/spans.ts";
import { createLogger } from "../../support/logger.ts";

export const patient: HttpLimits = {
  httpHeaderTimeoutMs: 60_000,
  httpReceiveTimeoutMs: 60_000,
  httpKeepAliveTimeoutMs: 60_000,
  httpSendTimeoutMs: 60_000,
  httpMaxHeaderBytes: 16_384,
  httpMaxHeaders: 100,
  httpMaxConnections: 1_000,
};

const toErrorBody = (error: RuntimeError): unknown => ({ error: toPublicMessage(error) });

/** Answers as `handle` does. `more`: of what it is made otherwise. */
export function route(
  path: string,
  handle: (input: RouteInput) => void | Promise<void>,
  more: Partial<RouteEntry> = {},
): RouteEntry {
  return { method: "GET", path, kind: "operator", audience: "operators", handle, toErrorBody, ...more };
}

export interface Opened {
  readonly host: HttpHost;
  readonly lines: Record<string, unknown>[];
}

/** Open one on loopback. */
export async function open(routes: readonly RouteEntry[], options: Partial<HostOptions> = {}): Promise<Opened> {
  const lines: Record<string, unknown>[] = [];
  const host = await openHost({
    host: "127.0.0.1",
    port: 0,
    portSetting: "--port or PORT",
    limits: patient,
    hosts: { allowed: [], setting: "--hosts", isOpen: true },
    tls: undefined,
    routes: createRouteTable(routes),
    callers: createCallers({ apiKeys: undefined, operatorKeys: undefined }, "all"),
    cors: undefined,
    tracer: offTracer,
    strictRequestId: false,
    baggageKeys: new Set(),
    memory: createMemoryBudget(1_000_000, createRuntimeMetrics().memory),
    maxBodyBytes: 1_000,
    overloadStatus: 503,
    isLast: () => false,
    unmatched: { toErrorBody },
    toFaultBody: toErrorBody,
    log: createLogger({ sink: (line) => lines.push(line), filter: parseLogFilter("debug") }),
    now: () => performance.now(),
    ...options,
  });
  return { host, lines };
}

/** The end of a host that waits for nobody. */
export const atOnce: HostEnd = {
  timeoutMs: 0,
  lastWordsMs: 1_000,
  reason: new RuntimeError("unavailable", "it is over"),
};
