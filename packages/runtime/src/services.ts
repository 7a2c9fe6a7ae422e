/** The services of a runtime, opened before everything else: settings, log, spans, discovery, metrics, the system server. */
import type { Logger as Pino } from "pino";
import { completeSettings, type Environment } from "./settings/environment.ts";
import { assertObject, refuseOthers, type OptionNames } from "./settings/options.ts";
import type { RuntimeConfig } from "./settings/runtime-config.ts";
import { runtimeSettings } from "./settings/runtime-settings.ts";
import { rememberAnnounced, type AnnouncingDiscovery } from "./discovery/announced.ts";
import type { MemorySpace } from "./discovery/memory.ts";
import { openDiscovery } from "./discovery/open.ts";
import { createInstanceId } from "./ids.ts";
import type { Logger } from "./logging/logger.ts";
import { createMemoryBudget, type MemoryBudget } from "./memory-budget.ts";
import { openProcessLog } from "./logging/process-log.ts";
import { createRuntimeMetrics, type RuntimeMetrics } from "./metrics/runtime-metrics.ts";
import { watchDescriptors } from "./net/descriptors.ts";
import type { Tokens } from "./security/auth.ts";
import { openApiKeys, openPlaneSecurity, type PlaneSecurity } from "./security/plane-security.ts";
import { openServiceManager } from "./system/service-manager.ts";
import { openSystem, type System } from "./system/system.ts";
import type { Telemetry } from "./otel/otlp.ts";
import { openTelemetry } from "./otel/telemetry.ts";
import { CallScopes } from "./trace/call-scope.ts";
import type { Tracer } from "./trace/spans.ts";
import { createWallClock } from "./wall-clock.ts";

const now = (): number => performance.now();

export interface ServiceOptions {
  /** Settings that win over `environment`. Default: as `environment` says. */
  readonly config?: Partial<RuntimeConfig>;
  /** Variables for what `config` leaves out, and those of trace export; a program gives `process.env`. Default: none is read. */
  readonly environment?: Environment;
  /** A pino logger of yours, or the `log` of another runtime, whose filter then holds for both. Default: lines on stderr, as `config` says. */
  readonly log?: Pino;
  /** With `discoveryBackend: "mem"`, else not used: the space to share with other runtimes of this process. Default: one of its own. */
  readonly memorySpace?: MemorySpace;
  /** Series that are counted in, under the names they have; runtimes of one process share them to be seen at one /metrics. Default: new ones. */
  readonly metrics?: RuntimeMetrics;
  /** What requests may take of the memory of this process, with its limit; its runtimes share it. Default: a new one, as `config` says. */
  readonly memory?: MemoryBudget;
  /** The system server of this process, wherever it listens; its runtimes share it together with `metrics`. Default: a new one, if `config` asks for it. */
  readonly system?: System;
}

const serviceOptions: OptionNames<ServiceOptions> = {
  config: true,
  environment: true,
  log: true,
  memorySpace: true,
  metrics: true,
  memory: true,
  system: true,
};

// Where settings are that are given among the options.
const inConfig: Readonly<Record<string, string>> = Object.fromEntries(
  Object.keys(runtimeSettings).map((name) => [name, `config.${name}`]),
);

export interface Services {
  readonly id: bigint;
  readonly config: RuntimeConfig;
  readonly log: Logger;
  readonly security: PlaneSecurity;
  readonly metrics: RuntimeMetrics;
  readonly memory: MemoryBudget;
  readonly system: System;
  readonly tracer: Tracer;
  readonly scopes: CallScopes;
  /** The runtime disposes it. */
  readonly discovery: AnnouncingDiscovery;
  /** Stop watching files, export the spans that wait, write out the log. */
  readonly close: () => Promise<void>;
}

/** @throws RuntimeError `invalid_argument` on a bad setting or option, `unavailable` if the discovery directory or the system port cannot be used; nothing stays open then. */
export async function openServices(options: ServiceOptions): Promise<Services> {
  const { config: given = {}, environment = {}, log: givenLog, memorySpace, system: givenSystem, ...counted } = options;
  const { metrics: givenMetrics, memory: givenMemory, ...others } = counted;
  refuseOthers(others, serviceOptions, inConfig);
  assertObject("environment", environment);
  const config = completeSettings(runtimeSettings, given, environment);
  const metrics = givenMetrics ?? createRuntimeMetrics({ componentPrefix: config.componentMetricsPrefix });
  const memory = givenMemory ?? createMemoryBudget(config.memoryLimitBytes, metrics.memory);
  const clock = createWallClock(); // one for both, so that lines and spans agree to the microsecond
  const { log, close: closeLog } = openProcessLog(config, clock.now, givenLog);
  const netLog = log.child({ target: "dyn_runtime::net" });
  const owned: Disposable[] = [watchDescriptors({ log: netLog, now })];
  let telemetry: Telemetry | undefined;
  let discovery: AnnouncingDiscovery | undefined;
  const close = async (): Promise<void> => {
    for (const each of owned) each[Symbol.dispose]();
    try {
      await telemetry?.close();
    } finally {
      await closeLog();
    }
  };
  try {
    const id = createInstanceId();
    const security = await openPlaneSecurity(config, netLog);
    owned.push(security);
    const isEnabled = config.otelExportEnabled;
    telemetry = await openTelemetry({ isEnabled, environment, log, instanceId: id.toString(), clock });
    const { tracer } = telemetry;
    const tokens = (): Tokens | undefined => security.tokens?.current;
    discovery = rememberAnnounced(await openDiscovery(config, { log, tokens, memorySpace }));
    const system = givenSystem ?? (await startSystem(config, { metrics, memory, log, owned, environment }));
    return { id, config, log, security, metrics, memory, system, tracer, scopes: new CallScopes(), discovery, close };
  } catch (error) {
    await Promise.allSettled([discovery?.[Symbol.asyncDispose]()]); // what has failed before is told
    await close();
    throw error;
  }
}

interface SystemParts extends Pick<Services, "metrics" | "memory" | "log"> {
  readonly environment: Environment;
  /** What the services dispose at their end. */
  readonly owned: Disposable[];
}

async function startSystem(config: RuntimeConfig, { owned, environment, ...parts }: SystemParts): Promise<System> {
  const { systemHost: host, systemPort: port, systemTimeoutMs: timeoutMs } = config;
  const log = parts.log.child({ target: "dyn_runtime::system" });
  const keys = port < 0 ? undefined : await openApiKeys("operators' keys", config.operatorKeysFile, log);
  if (keys) owned.push(keys);
  const operatorKeys = keys && (() => keys.current);
  const manager = openServiceManager({ environment, log });
  return openSystem({
    ...parts,
    manager,
    host,
    port,
    allowedHosts: config.systemAllowedHosts,
    operatorKeys,
    timeoutMs,
    log,
    now,
  });
}
