/** One frontend: what it is composed of, how it begins, and how it ends. */
import { createRuntime, RuntimeError, version, type Runtime, type RuntimeConfig } from "@dyn/runtime";
import type { Environment, ShutdownSignal } from "@dyn/runtime";
import {
  assertSignals,
  completeSettings,
  createEndReport,
  createWallClock,
  type DiscoveryRecord,
  loggerOf,
  once,
  waitMs,
  watchSignals,
  within,
  type Logger,
} from "@dyn/runtime/internal";
import { createHistory, type History } from "@dyn/lineage";
import { followModels, type Models } from "./models/models.ts";
import { createFrontendMetrics, type FrontendMetrics } from "./observe/metrics.ts";
import { createExposedRoutes, openExposed } from "./server/exposed-routes.ts";
import { createResponseStore } from "./openai/responses/store.ts";
import { createRoutes } from "./server/routes.ts";
import { openHttpSecurity } from "./server/secrets.ts";
import { listenHttp, type HttpPorts } from "./server/server.ts";
import { toHostOptions, toInferenceOptions, toPortsOptions } from "./server/settings-of-parts.ts";
import { toExposedPaths } from "./settings/exposed-paths.ts";
import type { FrontendOptions } from "./settings/frontend-options.ts";
import { frontendSettings } from "./settings/frontend-settings.ts";

/** How long the start waits for the first listing of discovery, ms. */
const firstLookMs = 3_000;

export interface CreateFrontendOptions extends Partial<FrontendOptions> {
  /** Settings of the frontend's own runtime; they win over `environment`. Default: as `environment` says. */
  readonly config?: Partial<RuntimeConfig>;
  /** A runtime to use and leave open, which has a `config` of its own. Default: a new one. */
  readonly runtime?: Runtime;
  /** Variables for what is not given, as `process.env` for a program. Default: none is read. */
  readonly environment?: Environment;
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
  /** Finish what runs, close the ports, and the runtime if it is the frontend's own; `await using` does the same. Idempotent: the promise is that of `closed`. */
  close(): Promise<void>;
}

const now = (): number => performance.now();

/** Start a frontend; resolves once it listens. @throws RuntimeError `unavailable` if the port cannot be had, `invalid_argument` on an option that cannot be. */
export async function createFrontend(given: CreateFrontendOptions = {}): Promise<Frontend> {
  const { config, runtime, environment = {}, shutdownSignals = [], ...options } = given;
  assertSignals(shutdownSignals);
  if (runtime && config) throw new RuntimeError("invalid_argument", configAdvice);
  const settings = completeSettings(frontendSettings, options, environment);
  const { promise: asked, resolve: ask } = Promise.withResolvers<ShutdownSignal>();
  // From here on: a signal that nobody watches for is lost to the first process of a container.
  const signals = watchSignals(shutdownSignals, ask);
  let used = runtime;
  const owned: Disposable[] = [];
  const release = async (): Promise<void> => {
    for (const each of owned) each[Symbol.dispose]();
    if (!runtime) await used?.close();
    signals[Symbol.dispose]();
  };
  try {
    // No system server: all of it is at the HTTP port, and DYN_SYSTEM_PORT may be meant for a worker beside it.
    used ??= await createRuntime({ config: { ...config, systemPort: -1 }, environment });
    return await start({ settings, runtime: used, isOwn: !runtime, asked, owned, release });
  } catch (error) {
    await release();
    throw error;
  }
}

const configAdvice = "config is for the frontend's own runtime: with runtime, give it to createRuntime() instead";

interface FrontendParts {
  readonly settings: FrontendOptions;
  readonly runtime: Runtime;
  /** The end of the frontend is that of the runtime. */
  readonly isOwn: boolean;
  /** Resolves with the signal that begins a drain. */
  readonly asked: Promise<ShutdownSignal>;
  /** What `release` disposes. */
  readonly owned: Disposable[];
  readonly release: () => Promise<void>;
}

async function start(parts: FrontendParts): Promise<Frontend> {
  const { settings, runtime, asked, owned } = parts;
  const log = loggerOf(runtime.log).child({ target: "dyn_frontend" });
  const drain = new AbortController();
  const isDraining = (): boolean => drain.signal.aborted;
  const known = followWorkers(parts, log);
  const { models, instances, isListed } = known;
  const observed = observe(parts, models);
  const exposed = openExposed(settings, runtime, owned);
  const { keptResponses: maxEntries, keptResponsesLimitBytes: maxBytes } = settings;
  const served = {
    responses: createResponseStore({ maxEntries, maxBytes }),
    ...observed,
    ...toInferenceOptions(settings),
    now,
    wallClock: Date.now,
    runtime,
    models,
    instances,
    isListed,
    isDraining,
  };
  const builtIn = createRoutes(served);
  const routes = [...builtIn, ...createExposedRoutes(exposed, builtIn, served)];
  const security = await openHttpSecurity({ ...settings, operatorKeysFile: runtime.config.operatorKeysFile }, log);
  owned.push(security);
  const { tls, keys } = security;
  // Whoever takes the place of another frontend must not be asked before it knows the workers.
  if (!(await within(Promise.race([asked, known.listed]), firstLookMs)))
    log.warn({ waited_ms: firstLookMs }, "discovery is slow, listening without it");
  const { tracer, memory } = runtime;
  const ports = await listenHttp({
    ...toPortsOptions(settings),
    shared: { ...toHostOptions(settings), tls, memory, isLast: isDraining, tracer, log, now },
    requestLog: { ...observed, now },
    keys,
    routes,
    exposed,
  });
  logListening(ports, runtime, log);
  runtime.system.tell("serving");
  return toFrontend(ports, parts, drain, log);
}

/** The workers that discovery tells of. */
interface Workers {
  readonly models: Models;
  readonly instances: () => Iterable<DiscoveryRecord>;
  /** What was there at the start is known. */
  readonly isListed: () => boolean;
  readonly listed: Promise<void>;
}

function followWorkers({ runtime, settings, owned }: FrontendParts, log: Logger): Workers {
  const { namespace, routerMode } = settings;
  const instances = new Map<string, DiscoveryRecord>();
  const watch = runtime.discovery.watch("v1/instances", (changes) => {
    for (const { key, record } of changes) {
      if (record) instances.set(key, record);
      else instances.delete(key);
    }
  });
  owned.push(watch);
  const models = followModels({ runtime, namespace, routerMode, log, wallClock: Date.now, now });
  owned.push(models);
  let isListed = false;
  const listed = Promise.all([watch.ready, models.ready]).then(() => void (isListed = true));
  return { models, instances: () => instances.values(), isListed: () => isListed, listed };
}

interface Observed {
  readonly metrics: FrontendMetrics;
  readonly history: History | undefined;
}

function observe({ runtime, settings, owned }: FrontendParts, models: Models): Observed {
  const { metricsPrefix: prefix, metricsModelGraceMs: graceMs, requestHistory: size } = settings;
  const lasting = toExposedPaths(settings.expose).map(({ address }) => address);
  const { registry, eventLoopDelay } = runtime.metrics;
  const metrics = createFrontendMetrics({ registry, prefix, models: () => models.list(), lasting, graceMs, now });
  owned.push(metrics, eventLoopDelay.watch());
  return {
    metrics,
    history: size > 0 ? createHistory({ size, now, clockOffset: createWallClock().offset }) : undefined,
  };
}

function logListening({ http, operators }: HttpPorts, { discovery, config }: Runtime, log: Logger): void {
  if (operators) log.info({ url: operators.url, port: operators.port }, "operators' port is listening");
  const where = { discovery: discovery.kind, file_kv: config.fileKv, version };
  log.info({ url: http.url, port: http.port, ...where }, "frontend is listening");
}

// The end begins once, whoever asks; `closed` tells everybody how it went.
function toFrontend(ports: HttpPorts, parts: FrontendParts, drain: AbortController, log: Logger): Frontend {
  const { settings, asked, release } = parts;
  const { httpGracefulShutdownTimeoutMs: timeoutMs, drainDelayMs: delay_ms } = settings;
  const { promise: closed, resolve, reject } = Promise.withResolvers<void>();
  closed.catch(() => undefined); // also thrown at whoever closes
  const end = async (): Promise<void> => {
    const begunAt = now();
    await waitMs(delay_ms, undefined);
    try {
      const report = createEndReport(now);
      await ports.close(timeoutMs, report);
      log.info({ ...report.facts(begunAt) }, "stopped");
    } finally {
      await release();
    }
  };
  const close = once(() => {
    drain.abort();
    if (parts.isOwn) parts.runtime.system.tell("draining");
    end().then(resolve, reject);
    return closed;
  });
  void asked.then((signal) => {
    const fields = { signal, timeout_secs: timeoutMs / 1000, ...(delay_ms > 0 && { delay_ms }) };
    log.info(fields, "shutdown requested, draining; a second signal ends at once");
    close().catch((error: unknown) => log.error({ error }, "shutdown failed"));
  });
  const { host, port, url } = ports.http;
  return { host, port, url, operatorUrl: ports.operators?.url, closed, close, [Symbol.asyncDispose]: close };
}
