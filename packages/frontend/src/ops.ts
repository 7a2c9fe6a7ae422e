/** Routes for those who operate the frontend: / and its icon, /health, /live, /metrics, /v1/requests. */
import { chooseMetricsFormat, renderMetrics, RuntimeError, sharePages, type DiscoveryRecord, type EndpointRecord, type Runtime } from "@dyn/runtime";
import type { Exchange } from "./exchange.ts";
import { sendJson, sendText } from "./http/reply.ts";
import type { History } from "./lineage/history.ts";
import type { Models } from "./models.ts";

export interface OpsParts {
  readonly runtime: Runtime;
  readonly models: Models;
  readonly isDraining: () => boolean;
  readonly instances: () => Iterable<DiscoveryRecord>;
  /** Whether discovery has been listed since the start. */
  readonly isListed: () => boolean;
  readonly history: History | undefined;
  /** Monotonic clock, ms. */
  readonly now: () => number;
}

/** Pages that anybody may ask for, however large they are. */
export interface OpsPages {
  readonly metrics: (format: ReturnType<typeof chooseMetricsFormat>) => ReturnType<typeof renderMetrics>;
  /** Of a frontend that serves. */
  readonly health: () => Promise<string>;
}

export function createOpsPages({ runtime, instances, models, now }: OpsParts): OpsPages {
  return {
    metrics: sharePages((format) => renderMetrics(runtime.metrics.registry, format), now),
    health: sharePages<void, string>(() => {
      const records = [...instances()].filter((record) => record.type === "Endpoint");
      const endpoints = new Set(records.map(({ namespace, component, endpoint }) => `dyn://${namespace}.${component}.${endpoint}`));
      const names = models.list().map(({ name }) => name);
      const { condition: discovery } = runtime.discovery;
      return JSON.stringify({ status: "healthy", endpoints: [...endpoints].sort(), instances: records.map(toShown), models: names, discovery });
    }, now),
  };
}

// As Dynamo shows them, but with the id as text: a JSON number would lose digits in most readers.
function toShown({ namespace, component, endpoint, instance_id, transport }: EndpointRecord): unknown {
  return { namespace, component, endpoint, instance_id: instance_id.toString(), transport };
}

/** What this is, for whoever looks at the address alone: a browser, a probe. */
export function serveIndex(exchange: Exchange, routes: readonly string[]): void {
  sendJson(exchange, 200, { name: "dyn-frontend", message: "an inference frontend that speaks the OpenAI and Anthropic APIs", routes });
}

/** None: browsers ask for one by themselves. */
export function serveIcon({ response, commonHeaders }: Exchange): void {
  response.writeHead(204, { ...commonHeaders, "cache-control": "max-age=86400" }).end();
}

/** Ready to serve? 503 while it drains, and while it neither knows a model nor can find one, so that a load balancer looks elsewhere.
 *  One that cannot look but knows its workers serves as before. */
export async function serveHealth(exchange: Exchange, { runtime, isDraining, isListed, models }: OpsParts, pages: OpsPages): Promise<void> {
  const discovery = runtime.discovery.condition;
  if (isDraining()) return sendJson(exchange, 503, { status: "not_ready", stage: "draining", message: "Service is not ready", discovery });
  const isBlind = !isListed() || discovery.state === "degraded";
  if (isBlind && models.list().length === 0) {
    const message = "Service is not ready: it knows no model, and cannot look for one";
    return sendJson(exchange, 503, { status: "not_ready", stage: isListed() ? "degraded" : "starting", message, discovery });
  }
  sendText(exchange, 200, "application/json", await pages.health());
}

/** Alive? Yes, if this is answered at all. */
export function serveLive(exchange: Exchange, { runtime }: OpsParts): void {
  sendJson(exchange, 200, { status: "live", message: "Service is live", discovery: runtime.discovery.condition });
}

/** In the format that is asked for. */
export async function serveMetrics(exchange: Exchange, pages: OpsPages): Promise<void> {
  const { contentType, body } = await pages.metrics(chooseMetricsFormat(exchange.request.headers.accept));
  sendText(exchange, 200, contentType, body);
}

/** What this frontend knows of one request. @throws RuntimeError `unknown_request`. */
export function showRequest(exchange: Exchange, { history }: OpsParts, id: string): void {
  if (!history) throw new RuntimeError("unknown_request", "this frontend keeps no history of requests (--request-history 0)");
  const found = history.find(id);
  if (!found)
    throw new RuntimeError("unknown_request", `no request ${JSON.stringify(id.slice(0, 256))} among those that run and the last that ended`);
  sendJson(exchange, 200, found);
}
