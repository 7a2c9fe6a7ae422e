/** `@dyn/frontend`: the HTTP front door as a library. */
/// <reference types="node" preserve="true" />
import { createRuntime, type Runtime, type RuntimeConfig, type ShutdownSignal } from "@dyn/runtime";
import {
  checkRouterMode,
  completeSettings,
  createEndReport,
  createWallClock,
  parseHosts,
  parsePrefix,
  waitMs,
  watchSignals,
  within,
  type DiscoveryRecord,
} from "@dyn/runtime/internal";
import { parseOrigins } from "./http/cors.ts";
import type { InferenceParts } from "./inference/serve.ts";
import { createHistory } from "@dyn/lineage";
import { createFrontendMetrics } from "./observe/metrics.ts";
import { followModels } from "./models/models.ts";
import { frontendSettings, type FrontendOptions } from "./settings.ts";
import { createRoutes } from "./server/routes.ts";
import { openHttpSecurity } from "./server/secrets.ts";
import { listenHttp, type PortsOptions } from "./server/server.ts";

export { frontendSettings } from "./settings.ts";
export type { FrontendOptions } from "./settings.ts";

/** How long the start waits for the first listing of discovery, ms. */
const firstLookMs = 3_000;

export interface CreateFrontendOptions extends Partial<FrontendOptions> {
  /** Settings of its runtime; they win over the environment. */
  readonly config?: Partial<RuntimeConfig>;
  /** A runtime to use and leave open; default: its own. */
  readonly runtime?: Runtime;
  /** Signals that begin a drain. Default: none is touched. */
  readonly shutdownSignals?: readonly ShutdownSignal[];
}

export interface Frontend extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** Of the operators' port; undefined = it has none of its own. */
  readonly operatorUrl: string | undefined;
  /** Resolves after a drain, whoever began it. */
  readonly closed: Promise<void>;
}

/** Start a frontend; resolves once it listens. @throws RuntimeError `unavailable` if the port cannot be had. */
export async function createFrontend({
  config,
  runtime: given,
  shutdownSignals = [],
  ...options
}: CreateFrontendOptions = {}): Promise<Frontend> {
  const settings = completeSettings(frontendSettings, options, {});
  checkRouterMode(settings.routerMode); // programs may give anything
  const { promise: asked, resolve: ask } = Promise.withResolvers<ShutdownSignal>();
  // From here on: a signal that nobody watches for is lost to the first process of a container.
  const signals = watchSignals(shutdownSignals, ask);
  let runtime = given;
  const owned: Disposable[] = [];
  const release = async (): Promise<void> => {
    for (const each of owned) each[Symbol.dispose]();
    if (!given) await runtime?.[Symbol.asyncDispose]();
    signals[Symbol.dispose]();
  };
  try {
    // No system server: all of it is at the HTTP port, and DYN_SYSTEM_PORT may be meant for a worker beside it.
    runtime ??= await createRuntime({ config: { ...config, systemPort: -1 } });
    return await startFrontend({ settings, runtime, asked, owned, release });
  } catch (error) {
    await release();
    throw error;
  }
}

interface FrontendParts {
  readonly settings: FrontendOptions;
  readonly runtime: Runtime;
  /** Resolves with the signal that begins a drain. */
  readonly asked: Promise<ShutdownSignal>;
  /** What `release` disposes. */
  readonly owned: Disposable[];
  readonly release: () => Promise<void>;
}

async function startFrontend({ settings, runtime, asked, owned, release }: FrontendParts): Promise<Frontend> {
  const log = runtime.log.child({ target: "dyn_frontend" });
  const now = (): number => performance.now();
  const drain = new AbortController();
  const instances = new Map<string, DiscoveryRecord>();
  const watch = runtime.discovery.watch("v1/instances", (changes) => {
    for (const { key, record } of changes) {
      if (record) instances.set(key, record);
      else instances.delete(key);
    }
  });
  owned.push(watch);
  const models = followModels({
    runtime,
    namespace: settings.namespace,
    routerMode: settings.routerMode,
    log,
    wallClock: Date.now,
    now,
  });
  owned.push(models);
  const isDraining = (): boolean => drain.signal.aborted;
  const { metricsPrefix: prefix, metricsModelGraceSecs } = settings;
  parsePrefix(prefix); // programs may give anything
  const { registry, eventLoopDelay } = runtime.metrics;
  const metrics = createFrontendMetrics({
    registry,
    prefix,
    models: () => models.list(),
    graceMs: metricsModelGraceSecs * 1000,
    now,
  });
  owned.push(metrics, eventLoopDelay.watch());
  const {
    requestHistory: size,
    requestTimeoutMs: totalMs,
    firstTokenTimeoutMs: firstTokenMs,
    tokenTimeoutMs: betweenTokensMs,
  } = settings;
  const limits = { totalMs, firstTokenMs, betweenTokensMs };
  const history = size > 0 ? createHistory({ size, now, clockOffset: createWallClock().offset }) : undefined;
  const shared = { metrics, history, now };
  const { overloadStatus, sseKeepAliveMs: keepAliveMs } = settings;
  let isListed = false; // what was there at the start is known
  const ops = { runtime, isDraining, instances: () => instances.values(), isListed: () => isListed };
  const routes = createRoutes({
    ...shared,
    ...ops,
    models,
    limits,
    ...toAnswerLimits(settings),
    overloadStatus,
    keepAliveMs,
    wallClock: Date.now,
  });
  const { tracer, memory } = runtime;
  const security = await openHttpSecurity({ ...settings, operatorKeysFile: runtime.config.operatorKeysFile }, log);
  owned.push(security);
  const { tls, keys } = security;
  // Whoever takes the place of another frontend must not be asked before it knows the workers.
  const listed = Promise.all([watch.ready, models.ready]).then(() => (isListed = true));
  if (!(await within(Promise.race([asked, listed]), firstLookMs)))
    log.warn({ waited_ms: firstLookMs }, "discovery is slow, listening without it");
  const ports = await listenHttp({
    ...shared,
    ...toPortsOptions(settings),
    tls,
    keys,
    routes,
    isDraining,
    log,
    tracer,
    memory,
  });
  const { http, operators } = ports;
  if (operators) log.info({ url: operators.url, port: operators.port }, "operators' port is listening");
  log.info(
    { url: http.url, port: http.port, discovery: runtime.discovery.kind, file_kv: runtime.config.fileKv },
    "frontend is listening",
  );
  const { shutdownTimeoutSecs: timeout_secs, drainDelayMs: delay_ms } = settings;
  const ending = createEnding(drain, async () => {
    const begunAt = now();
    await waitMs(delay_ms, undefined);
    try {
      const report = createEndReport(now);
      await ports.close(timeout_secs * 1000, report);
      log.info({ ...report.facts(begunAt) }, "stopped");
    } finally {
      await release();
    }
  });
  void asked.then((signal) => {
    log.info(
      { signal, timeout_secs, ...(delay_ms > 0 && { delay_ms }) },
      "shutdown requested, draining; a second signal ends at once",
    );
    ending.close().catch((error: unknown) => log.error({ error }, "shutdown failed"));
  });
  const { host, port, url } = http;
  return {
    host,
    port,
    url,
    operatorUrl: operators?.url,
    closed: ending.closed,
    [Symbol.asyncDispose]: () => ending.close(),
  };
}

type Addresses = "http" | "operators" | "corsOrigins" | "allowedHosts";
type Bounds =
  | "maxBodyBytes"
  | "maxConcurrentRequests"
  | "overloadStatus"
  | "limits"
  | "strictRequestId"
  | "baggageKeys";

function toPortsOptions(settings: FrontendOptions): Pick<PortsOptions, Addresses | Bounds> {
  const { httpHost, httpPort, operatorHost, operatorPort, maxConcurrentRequests, overloadStatus, strictRequestId } =
    settings;
  return {
    http: { host: httpHost, port: httpPort },
    operators: operatorPort < 0 ? undefined : { host: operatorHost, port: operatorPort },
    corsOrigins: parseOrigins(settings.corsOrigins.join(",")), // programs may give anything
    allowedHosts: parseHosts(settings.allowedHosts.join(",")),
    maxBodyBytes: settings.bodyLimitMb * 1024 * 1024,
    maxConcurrentRequests,
    overloadStatus,
    limits: settings,
    strictRequestId,
    baggageKeys: new Set(settings.baggageKeys),
  };
}

function toAnswerLimits(settings: FrontendOptions): Pick<InferenceParts, "fieldLimits" | "maxAnswerBytes"> {
  const maxAnswerBytes = settings.answerLimitMb * 1024 * 1024;
  return { fieldLimits: { ...settings, maxEchoBytes: maxAnswerBytes }, maxAnswerBytes };
}

// Begins once, whoever asks; `closed` tells everybody how it went.
function createEnding(
  drain: AbortController,
  end: () => Promise<void>,
): { readonly closed: Promise<void>; close(): Promise<void> } {
  const { promise: closed, resolve, reject } = Promise.withResolvers<void>();
  closed.catch(() => undefined); // also thrown at whoever disposes
  return {
    closed,
    close() {
      if (!drain.signal.aborted) {
        drain.abort();
        end().then(resolve, reject);
      }
      return closed;
    },
  };
}
