/** The runtime's own metrics, in the Prometheus registry of the process. Names, labels and buckets are Dynamo's where it has the metric. */
import type { Condition } from "../condition.ts";
import { createEventLoopDelay, type EventLoopDelay } from "./event-loop.ts";
import {
  createComponentFamilies,
  createEndpointMetrics,
  type EndpointLabels,
  type EndpointMetrics,
} from "./endpoint-metrics.ts";
import { createCounters, createGauges, createHistograms } from "./family.ts";
import { createMetricsRegistry, type MetricsRegistry } from "./registry.ts";
import { version } from "../version.ts";
import type { Counter, Gauge, Histogram } from "./series.ts";

/** One set serves all runtimes of a process that shows one `/metrics`. */
export interface RuntimeMetrics {
  /** Everything that is served on `/metrics`. A registry of your own is served too once it is included. */
  readonly registry: MetricsRegistry;
  /** Answers whose ids differ from what was sent. Must stay 0. */
  readonly lineageMismatch: Counter;
  /** Requests refused because workers were lost while they ran them. */
  readonly poisoned: Counter;
  readonly inflight: Gauge;
  readonly connections: Gauge;
  /** Seconds from an attempt's beginning until its request is sent: choosing done, dialling included. */
  readonly queue: Histogram;
  /** Seconds from there to the first items. */
  readonly roundtripTtft: Histogram;
  readonly eventLoopDelay: EventLoopDelay;
  /** Requests refused by this process because streams, places or memory are used up. */
  readonly rejections: Counter;
  /** What requests take of the memory of this process, in bytes; and how often there was not enough left. */
  readonly memory: { readonly limit: Gauge; readonly used: Gauge; readonly refusals: Counter };
  /** The series of one served endpoint. */
  endpoint(labels: EndpointLabels): EndpointMetrics;
  /** Show the uptime of this instance, until disposed. */
  started(instanceId: string): Disposable;
  /** Count a discovery that may be degraded, until disposed. */
  watchDiscovery(condition: () => Condition): Disposable;
  /** Show health checks by what they said last, until disposed. */
  watchChecks(states: () => CheckStates): Disposable;
}

const queues = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1];
const roundtrips = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export interface RuntimeMetricsOptions {
  /** First part of the names of what workers count. Default `dynamo_component`. */
  readonly componentPrefix?: string;
  /** Monotonic clock, ms. */
  readonly now?: () => number;
}

/** Create them, at zero. */
export function createRuntimeMetrics({
  componentPrefix = "dynamo_component",
  now = () => performance.now(),
}: RuntimeMetricsOptions = {}): RuntimeMetrics {
  const registry = createMetricsRegistry();
  const startedAt = new Map<string, number>();
  const uptime = createGauges({
    registry,
    name: `${componentPrefix}_uptime_seconds`,
    help: "Time since the runtime of this instance was created",
    labels: ["worker_id"],
  });
  uptime.onRead(() => {
    for (const [worker_id, at] of startedAt) uptime.with({ worker_id }).set((now() - at) / 1000);
  });
  const families = createComponentFamilies(registry, componentPrefix);
  const build = createGauges({
    registry,
    name: "dyn_build_info",
    help: "Always 1; its labels are the version of dyn and that of Node.js",
    labels: ["version", "node"],
  });
  build.with({ version, node: process.versions.node }).set(1);
  return {
    registry,
    ...createPlaneMetrics(registry),
    memory: createMemoryMetrics(registry),
    eventLoopDelay: createEventLoopDelay(registry, now),
    endpoint: (labels) => createEndpointMetrics(families, labels),
    started(worker_id) {
      startedAt.set(worker_id, now());
      const gone = (): void => {
        startedAt.delete(worker_id);
        uptime.remove({ worker_id });
      };
      return { [Symbol.dispose]: gone };
    },
    watchDiscovery: createDiscoveryMetric(registry),
    watchChecks: createCheckMetric(registry),
  };
}

function createDiscoveryMetric(registry: MetricsRegistry): RuntimeMetrics["watchDiscovery"] {
  const conditions = new Set<() => Condition>();
  const family = createGauges({
    registry,
    name: "dynamo_discovery_degraded",
    help: "Runtimes of this process whose discovery cannot list its directory, or keep their own records alive",
  });
  family.onRead(() =>
    family.with({}).set([...conditions].filter((condition) => condition().state === "degraded").length),
  );
  return (condition) => {
    conditions.add(condition);
    return { [Symbol.dispose]: () => void conditions.delete(condition) };
  };
}

/** As `CheckState` of the health checks; of it no more is needed here. */
type CheckStates = Readonly<Record<string, { readonly state: "pending" | "passing" | "failing" }>>;

function createCheckMetric(registry: MetricsRegistry): RuntimeMetrics["watchChecks"] {
  const all = new Set<() => CheckStates>();
  const family = createGauges({
    registry,
    name: "dyn_health_check_passing",
    help: "Whether the health check of this name passes (1) or not (0); of several with one name all must",
    labels: ["check"],
  });
  family.onRead(() => {
    family.remove({});
    const entries = [...all].flatMap((states) => Object.entries(states()));
    for (const [check] of entries) family.with({ check }).set(1);
    for (const [check, { state }] of entries) if (state !== "passing") family.with({ check }).set(0);
  });
  return (states) => {
    all.add(states);
    return { [Symbol.dispose]: () => void all.delete(states) };
  };
}

function createMemoryMetrics(registry: MetricsRegistry): RuntimeMetrics["memory"] {
  const gauge = (name: string, help: string): Gauge =>
    createGauges({ registry, name: `dynamo_request_memory_${name}`, help }).with({});
  return {
    limit: gauge("limit_bytes", "Most that requests may take of the memory of this process, all together"),
    used: gauge(
      "used_bytes",
      "What requests take of it now: bodies, prompts, and answers that are held or not yet read",
    ),
    refusals: createCounters({
      registry,
      name: "dynamo_request_memory_refusals_total",
      help: "How often there was not enough of it left for more",
    }).with({}),
  };
}

type PlaneMetrics = Omit<
  RuntimeMetrics,
  "registry" | "memory" | "eventLoopDelay" | "endpoint" | "started" | "watchDiscovery" | "watchChecks"
>;

function createPlaneMetrics(registry: MetricsRegistry): PlaneMetrics {
  const prefix = "dynamo_request_plane";
  const none = {};
  return {
    lineageMismatch: createCounters({
      registry,
      name: `${prefix}_lineage_mismatch_total`,
      help: "Answers whose request id, trace id, parent span, instance or attempt differ from what was sent",
    }).with(none),
    poisoned: createCounters({
      registry,
      name: `${prefix}_poisoned_requests_total`,
      help: "Requests that were refused because two workers or more were lost while they ran them",
    }).with(none),
    inflight: createGauges({
      registry,
      name: `${prefix}_inflight_requests`,
      help: "Attempts that wait for a worker's answer",
    }).with(none),
    connections: createGauges({ registry, name: `${prefix}_connections`, help: "Open connections to workers" }).with(
      none,
    ),
    queue: createHistograms({
      registry,
      name: `${prefix}_queue_seconds`,
      help: "From the beginning of an attempt until its request is sent, dialling included",
      buckets: queues,
    }).with(none),
    roundtripTtft: createHistograms({
      registry,
      name: `${prefix}_roundtrip_ttft_seconds`,
      help: "From a request being sent to a worker until its first items arrive",
      buckets: roundtrips,
    }).with(none),
    rejections: createCounters({
      registry,
      name: "dynamo_rejection_request_total",
      help: "Requests this worker refused because its places to run and to wait, a connection's streams, or the memory for requests were used up",
    }).with(none),
  };
}
