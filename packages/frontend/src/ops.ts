/** Routes for those who operate the frontend: / and its icon, /health, /live, /metrics, /v1/requests. */
import { RuntimeError, version, type Runtime } from "@dyn/runtime";
import {
  chooseMetricsFormat,
  type DiscoveryRecord,
  type EndpointRecord,
  type Exchange,
  renderMetrics,
  sendJson,
  sendPage,
  sharePages,
} from "@dyn/runtime/internal";
import type { History } from "@dyn/lineage";
import type { Models } from "./models/models.ts";

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

/** Pages that may be asked for often, however large they are. */
export interface OpsPages {
  readonly metrics: (page: MetricsPage) => ReturnType<typeof renderMetrics>;
  /** Of a frontend that serves, for operators. */
  readonly health: () => Promise<string>;
}

/** A format, or OpenMetrics without exemplars: for those who may not know of the requests of others. */
type MetricsPage = ReturnType<typeof chooseMetricsFormat> | "bare";

export function createOpsPages({ runtime, instances, models, now }: OpsParts): OpsPages {
  return {
    metrics: sharePages((page) => {
      const { registry } = runtime.metrics;
      return page === "bare"
        ? renderMetrics(registry, "openmetrics", { hasExemplars: false })
        : renderMetrics(registry, page);
    }, now),
    health: sharePages<void, string>(() => {
      const records = [...instances()].filter((record) => record.type === "Endpoint");
      const endpoints = new Set(
        records.map(({ namespace, component, endpoint }) => `dyn://${namespace}.${component}.${endpoint}`),
      );
      const names = models.list().map(({ name }) => name);
      const { condition: discovery } = runtime.discovery;
      return JSON.stringify({
        status: "healthy",
        version,
        endpoints: [...endpoints].sort(),
        instances: records.map(toShown),
        models: names,
        checks: runtime.health.states,
        discovery,
      });
    }, now),
  };
}

// As Dynamo shows them, but with the id as text: a JSON number would lose digits in most readers.
function toShown({ namespace, component, endpoint, instance_id, transport }: EndpointRecord): unknown {
  return { namespace, component, endpoint, instance_id: instance_id.toString(), transport };
}

/** What this is, for whoever looks at the address alone: a browser, a probe. */
export function serveIndex(exchange: Exchange, routes: readonly string[]): void {
  sendJson(exchange, 200, {
    name: "dyn-frontend",
    message: "an inference frontend that speaks the OpenAI and Anthropic APIs",
    routes,
  });
}

/** None: browsers ask for one by themselves. */
export function serveIcon({ response, commonHeaders }: Exchange): void {
  response.writeHead(204, { ...commonHeaders, "cache-control": "max-age=86400" }).end();
}

/** Ready to serve? 503 while it drains, while a health check of the runtime fails, and while it neither knows a model nor can find one, so that a load balancer looks elsewhere.
 *  One that cannot look but knows its workers serves as before. Who is there is for operators. */
export async function serveHealth(exchange: Exchange, parts: OpsParts, pages: OpsPages): Promise<void> {
  const obstacle = findObstacle(parts);
  if (obstacle) {
    const { stage, message } = obstacle;
    const { health, discovery } = parts.runtime;
    const details = { version, checks: health.states, discovery: discovery.condition };
    const shown = exchange.caller.isOperator ? details : {};
    return sendJson(exchange, 503, { status: "not_ready", stage, message, ...shown });
  }
  if (!exchange.caller.isOperator) return sendJson(exchange, 200, { status: "healthy" });
  sendPage(exchange, "application/json", await pages.health());
}

interface Obstacle {
  readonly stage: "draining" | "starting" | "degraded" | "unhealthy";
  readonly message: string;
}

// Why it is not ready, in words for everybody.
function findObstacle({ runtime, isDraining, isListed, models }: OpsParts): Obstacle | undefined {
  if (isDraining()) return { stage: "draining", message: "Service is not ready" };
  const states = new Set(Object.values(runtime.health.states).map(({ state }) => state));
  if (states.has("failing"))
    return { stage: "unhealthy", message: "Service is not ready: one of its health checks fails" };
  if (states.has("pending"))
    return { stage: "starting", message: "Service is not ready: its health checks have not ended yet" };
  const isBlind = !isListed() || runtime.discovery.condition.state === "degraded";
  if (!isBlind || models.list().length > 0) return undefined;
  const message = "Service is not ready: it knows no model, and cannot look for one";
  return { stage: isListed() ? "degraded" : "starting", message };
}

/** Alive? Yes, if this is answered at all. */
export function serveLive(exchange: Exchange, parts: OpsParts): void {
  sendJson(exchange, 200, { status: "live", message: "Service is live", ...showDiscovery(exchange, parts) });
}

// What is wrong with it names a path.
function showDiscovery({ caller }: Exchange, { runtime }: OpsParts): object {
  return caller.isOperator ? { discovery: runtime.discovery.condition } : {};
}

/** In the format that is asked for. */
export async function serveMetrics(exchange: Exchange, pages: OpsPages): Promise<void> {
  const { isOperator } = exchange.caller;
  const format = chooseMetricsFormat(exchange.request.headers.accept);
  const { contentType, body } = await pages.metrics(format === "openmetrics" && !isOperator ? "bare" : format);
  sendPage(exchange, contentType, body, { isModest: !isOperator });
}

/** What this frontend knows of one request, to those who may see it. @throws RuntimeError `unknown_request`: that of another's is the same. */
export function showRequest(exchange: Exchange, { history }: OpsParts, id: string): void {
  if (!history)
    throw new RuntimeError("unknown_request", "this frontend keeps no history of requests (--request-history 0)");
  const { apiKey, isOperator } = exchange.caller;
  const found = history.find(id, { owner: apiKey?.hash, seesAll: isOperator });
  if (!found)
    throw new RuntimeError(
      "unknown_request",
      `no request ${JSON.stringify(id.slice(0, 256))} among those that run and the last that ended`,
    );
  sendJson(exchange, 200, found);
}
