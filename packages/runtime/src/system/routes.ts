/** The routes of a system server: its own, for probes and Prometheus, and those that whoever runs in the process adds. */
import { toPublicMessage, type RuntimeError } from "../errors.ts";
import { decodeText } from "../http/content-text.ts";
import { sendJson, sendUncounted } from "../http/reply.ts";
import type { RouteEntry, RouteInput } from "../http/route.ts";
import { sharePages } from "../http/shared-pages.ts";
import { chooseMetricsFormat, renderMetrics, type MetricsFormat } from "../metrics/exposition.ts";
import type { RuntimeMetrics } from "../metrics/runtime-metrics.ts";
import type { Status } from "./status.ts";

/** Something to read, and orders. */
export interface SystemRoute {
  /** What GET shows, as a JSON value. */
  read(): unknown;
  /** By method: what it does with the body; GET's answer follows. Throwing a RuntimeError `invalid_argument` is a 400. */
  readonly orders: Readonly<Partial<Record<OrderMethod, (body: string) => void>>>;
}

type OrderMethod = "POST" | "PUT" | "DELETE";

/** The shape of all its errors. */
export function toErrorBody(error: RuntimeError): unknown {
  return { error: toPublicMessage(error) };
}

interface OwnSources {
  readonly metrics: RuntimeMetrics;
  readonly toStatus: (hasDetails: boolean) => Status;
  /** What is served, as the root lists it. */
  readonly list: () => readonly string[];
  readonly now: () => number;
}

/** Those of every system server. Probes have no key: strangers are told whether it lives and is ready. */
export function toOwnRoutes({ metrics, toStatus, list, now }: OwnSources): readonly RouteEntry[] {
  const toPage = sharePages((format: MetricsFormat) => renderMetrics(metrics.registry, format), now);
  const get = (
    path: string,
    audience: "anybody" | "operators",
    handle: (input: RouteInput) => void | Promise<void>,
  ): RouteEntry => ({ method: "GET", path, kind: "operator", audience, handle, toErrorBody });
  return [
    get("/", "anybody", ({ exchange }) => sendJson(exchange, 200, { name: "dyn system server", routes: list() })),
    get("/live", "anybody", ({ exchange }) => sendJson(exchange, 200, toStatus(exchange.caller.isOperator).live)),
    get("/health", "anybody", ({ exchange }) => {
      const { isReady, health } = toStatus(exchange.caller.isOperator);
      sendJson(exchange, isReady ? 200 : 503, health);
    }),
    get("/metrics", "operators", async ({ exchange }) => {
      const { contentType, body } = await toPage(chooseMetricsFormat(exchange.request.headers.accept));
      sendUncounted(exchange, contentType, body); // also when requests have all the memory
    }),
  ];
}

/** The entries of an added route: one per method, all for operators. */
export function toEntries(path: string, route: SystemRoute): readonly RouteEntry[] {
  const own = { path, kind: "operator", audience: "operators", toErrorBody } as const;
  const entries: RouteEntry[] = [
    { ...own, method: "GET", handle: ({ exchange }) => sendJson(exchange, 200, route.read()) },
  ];
  for (const [method, order] of Object.entries(route.orders) as [OrderMethod, (body: string) => void][]) {
    entries.push({
      ...own,
      method,
      takes: "text",
      handle({ exchange, body }) {
        order(Buffer.isBuffer(body) ? decodeText(body) : "");
        sendJson(exchange, 200, route.read());
      },
    });
  }
  return entries;
}
