/** The services of a runtime, opened before everything else: settings, log, spans, discovery, metrics, the system server. */
import type { Logger as Pino } from "pino";
import { completeSettings, type Environment } from "./settings/environment.ts";
import type { RuntimeConfig } from "./settings/runtime-config.ts";
import { runtimeSettings } from "./settings/runtime-settings.ts";
import { rememberAnnounced, type AnnouncingDiscovery } from "./discovery/announced.ts";
import type { MemorySpace } from "./discovery/memory.ts";
import { openDiscovery } from "./discovery/open.ts";
import type { ApiKeys } from "./http/api-keys.ts";
import { parseHosts } from "./http/hosts.ts";
import { createInstanceId } from "./ids.ts";
import type { Logger } from "./logging/logger.ts";
import { createMemoryBudget, type MemoryBudget } from "./memory-budget.ts";
import { openProcessLog } from "./logging/process-log.ts";
import { createRuntimeMetrics, type RuntimeMetrics } from "./metrics/runtime-metrics.ts";
import { watchDescriptors } from "./net/descriptors.ts";
import type { Reloading } from "./security/reload.ts";
import { openApiKeys, openPlaneSecurity, type PlaneSecurity } from "./security/plane-security.ts";
import { openSystem, type System } from "./system/system.ts";
import type { Telemetry } from "./otel/otlp.ts";
import { openTelemetry } from "./otel/telemetry.ts";
import type { Tracer } from "./trace/spans.ts";
import { createWallClock } from "./wall-clock.ts";

export interface ServiceOptions {
  /** Settings that win over `environment`. Default: as `environment` says. */
  readonly config?: Partial<RuntimeConfig>;
  /** Variables for what `config` leaves out, and those of trace export; a program gives `process.env`. Default: none is read. */
  readonly environment?: Environment;
  /** A pino logger of yours, or the `log` of another runtime. Default: lines on stderr, as `config` says. */
  readonly log?: Pino;
  /** With `discoveryBackend: "mem"`: the space to share with other runtimes of this process. Default: one of its own. */
  readonly memorySpace?: MemorySpace;
  /** Series that are counted in; runtimes of one process share them to be seen at one /metrics. Default: new ones. */
  readonly metrics?: RuntimeMetrics;
  /** What requests may take of the memory of this process; its runtimes share it. Default: a new one, as `config` says. */
  readonly memory?: MemoryBudget;
  /** The system server of this process; its runtimes share it together with `metrics`. Default: a new one, if `config` asks for it. */
  readonly system?: System;
}

export interface Services {
  readonly id: bigint;
  readonly config: RuntimeConfig;
  readonly log: Logger;
  readonly security: PlaneSecurity;
  readonly metrics: RuntimeMetrics;
  readonly memory: MemoryBudget;
  readonly system: System;
  readonly tracer: Tracer;
  /** The runtime disposes it. */
  readonly discovery: AnnouncingDiscovery;
  /** Stop watching files, export the spans that wait, write out the log. */
  readonly close: () => Promise<void>;
}

/** @throws RuntimeError `invalid_argument` on a bad setting, `unavailable` if the discovery directory or the system port cannot be used; nothing stays open then. */
export async function openServices(options: ServiceOptions): Promise<Services> {
  const { environment = {} } = options;
  const config = completeSettings(runtimeSettings, options.config ?? {}, environment);
  const metrics = options.metrics ?? createRuntimeMetrics({ componentPrefix: config.componentMetricsPrefix });
  const memory = options.memory ?? createMemoryBudget(config.memoryLimitBytes, metrics.memory);
  const clock = createWallClock(); // one for both, so that lines and spans agree to the microsecond
  const { log, close: closeLog } = openProcessLog(config, clock.now, options.log);
  let telemetry: Telemetry | undefined;
  let discovery: AnnouncingDiscovery | undefined;
  let security: (PlaneSecurity & Disposable) | undefined;
  let operatorKeys: Reloading<ApiKeys> | undefined;
  const descriptors = watchDescriptors({
    log: log.child({ target: "dyn_runtime::net" }),
    now: () => performance.now(),
  });
  const close = async (): Promise<void> => {
    descriptors[Symbol.dispose]();
    security?.[Symbol.dispose]();
    operatorKeys?.[Symbol.dispose]();
    try {
      await telemetry?.close();
    } finally {
      await closeLog();
    }
  };
  try {
    const id = createInstanceId();
    security = await openPlaneSecurity(config, log.child({ target: "dyn_runtime::net" }));
    telemetry = await openTelemetry({
      isEnabled: config.otelExportEnabled,
      environment,
      log,
      instanceId: id.toString(),
      clock,
    });
    const { tokens } = security;
    discovery = rememberAnnounced(
      await openDiscovery(config, { log, tokens: () => tokens?.current, memorySpace: options.memorySpace }),
    );
    const systemLog = log.child({ target: "dyn_runtime::system" });
    if (!options.system && config.systemPort >= 0)
      operatorKeys = await openApiKeys("operators' keys", config.operatorKeysFile, systemLog);
    const system = options.system ?? (await startSystem(config, { operatorKeys, metrics, memory, log: systemLog }));
    return { id, config, log, security, metrics, memory, system, tracer: telemetry.tracer, discovery, close };
  } catch (error) {
    await discovery?.[Symbol.asyncDispose]();
    await close();
    throw error;
  }
}

interface SystemParts extends Pick<Services, "metrics" | "memory" | "log"> {
  readonly operatorKeys: Reloading<ApiKeys> | undefined;
}

function startSystem(config: RuntimeConfig, { operatorKeys, metrics, memory, log }: SystemParts): Promise<System> {
  const { systemHost: host, systemPort: port, systemTimeoutMs: timeoutMs } = config;
  return openSystem({
    host,
    port,
    allowedHosts: parseHosts(config.systemAllowedHosts.join(",")), // programs may give anything
    operatorKeys: operatorKeys && (() => operatorKeys.current),
    timeoutMs,
    metrics,
    memory,
    log,
    now: () => performance.now(),
  });
}
