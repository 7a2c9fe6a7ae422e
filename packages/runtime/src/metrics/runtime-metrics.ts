/** The runtime's own metrics, in the Prometheus registry of the process. Names, labels and buckets are Dynamo's where it has the metric. */
import type { Condition } from "../condition.ts";
import { createEventLoopDelay, type EventLoopDelay } from "./event-loop.ts";
import { createCounters, createGauges, createHistograms, type Family, type Labels } from "./family.ts";
import { createMetricsRegistry, type MetricsRegistry } from "./registry.ts";
import type { Counter, Gauge, Histogram, TraceRef } from "./series.ts";

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
  /** From now on the uptime of this instance is shown. */
  started(workerId: string): void;
  /** Count a discovery that may be degraded, until disposed. */
  watchDiscovery(condition: () => Condition): Disposable;
}

type EndpointLabel = "dynamo_namespace" | "dynamo_component" | "dynamo_endpoint" | "worker_id" | "model";

/** `worker_id` in hex; `model` for endpoints of models. */
export type EndpointLabels = Labels<EndpointLabel>;

/** Which step of a worker failed: reading the request, running the handler, writing an item. */
export type FailedStep = "deserialization" | "generate" | "serialization";

export interface EndedRequest {
  /** Undefined if all went well, or the client left. */
  readonly failedStep: FailedStep | undefined;
  readonly isCancelled: boolean;
  readonly responseBytes: number;
  readonly elapsedMs: number;
  readonly ttftMs: number | undefined;
  /** Undefined if the trace is not sampled. */
  readonly trace: TraceRef | undefined;
}

/** What a worker counts of one endpoint. */
export interface EndpointMetrics {
  begin(requestBytes: number): void;
  end(request: EndedRequest): void;
  /** How many requests, or completions, run at a time; 0 = not limited. */
  readonly places: Gauge;
  readonly placesTaken: Gauge;
  /** Requests and completions that wait for a place. */
  readonly queueDepth: Gauge;
  /** Requests that may. */
  readonly queueCapacity: Gauge;
}

const durations = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600];
const firstResponses = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const queues = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1];
const roundtrips = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export interface RuntimeMetricsOptions {
  /** First part of the names of what workers count. Default `dynamo_component`. */
  readonly componentPrefix?: string;
  /** Monotonic clock, ms. */
  readonly now?: () => number;
}

/** Create them. One set serves all runtimes of a process that shows one `/metrics`. */
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
  return {
    registry,
    ...createPlaneMetrics(registry),
    memory: createMemoryMetrics(registry),
    eventLoopDelay: createEventLoopDelay(registry, now),
    endpoint: (labels) => createEndpointMetrics(families, labels),
    started: (workerId) => void startedAt.set(workerId, now()),
    watchDiscovery: createDiscoveryMetric(registry),
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

function createMemoryMetrics(registry: MetricsRegistry): RuntimeMetrics["memory"] {
  const gauge = (name: string, help: string): Gauge =>
    createGauges({ registry, name: `dynamo_request_memory_${name}`, help }).with({});
  return {
    limit: gauge("limit_bytes", "Most that requests may take of the memory of this process, all together"),
    used: gauge("used_bytes", "What they take of it now: bodies, prompts, and answers that are held or not yet read"),
    refusals: createCounters({
      registry,
      name: "dynamo_request_memory_refusals_total",
      help: "How often there was not enough of it left for more",
    }).with({}),
  };
}

type PlaneMetrics = Omit<
  RuntimeMetrics,
  "registry" | "memory" | "eventLoopDelay" | "endpoint" | "started" | "watchDiscovery"
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

interface ComponentFamilies {
  readonly requests: Family<EndpointLabel, Counter>;
  readonly duration: Family<EndpointLabel, Histogram>;
  readonly inflight: Family<EndpointLabel, Gauge>;
  readonly requestBytes: Family<EndpointLabel, Counter>;
  readonly responseBytes: Family<EndpointLabel, Counter>;
  readonly cancellations: Family<EndpointLabel, Counter>;
  readonly errors: Family<EndpointLabel | "error_type", Counter>;
  readonly firstResponse: Histogram;
  readonly places: Family<EndpointLabel, Gauge>;
  readonly placesTaken: Family<EndpointLabel, Gauge>;
  readonly queueDepth: Family<EndpointLabel, Gauge>;
  readonly queueCapacity: Family<EndpointLabel, Gauge>;
}

const endpointLabels: readonly EndpointLabel[] = [
  "dynamo_namespace",
  "dynamo_component",
  "dynamo_endpoint",
  "worker_id",
  "model",
];

function createComponentFamilies(registry: MetricsRegistry, prefix: string): ComponentFamilies {
  const labels = endpointLabels;
  const named = (name: string, help: string): { registry: MetricsRegistry; name: string; help: string } => ({
    registry,
    name: `${prefix}_${name}`,
    help,
  });
  return {
    requests: createCounters({ ...named("requests_total", "Requests a worker has taken"), labels }),
    duration: createHistograms({
      ...named("request_duration_seconds", "From a request's arrival at the worker to its last frame"),
      labels,
      buckets: durations,
    }),
    inflight: createGauges({ ...named("inflight_requests", "Requests the worker is running, or has waiting"), labels }),
    requestBytes: createCounters({ ...named("request_bytes_total", "Bytes of requests' payloads"), labels }),
    responseBytes: createCounters({ ...named("response_bytes_total", "Bytes of items sent"), labels }),
    cancellations: createCounters({ ...named("cancellation_total", "Requests the client cancelled or left"), labels }),
    errors: createCounters({
      ...named(
        "errors_total",
        "Requests that failed at the worker, by the step that failed: deserialization, generate or serialization",
      ),
      labels: [...endpointLabels, "error_type"],
    }),
    firstResponse: createHistograms({
      registry,
      name: "dynamo_work_handler_time_to_first_response_seconds",
      help: "From a request's arrival at the worker to its first item with a token",
      buckets: firstResponses,
    }).with({}),
    places: createGauges({
      registry,
      name: "dynamo_work_handler_places",
      help: "Requests that run at a time, of a model completions; 0 if they are not limited",
      labels,
    }),
    placesTaken: createGauges({
      registry,
      name: "dynamo_work_handler_places_taken",
      help: "Places in use: requests that run, of a model completions; not counted if they are not limited",
      labels,
    }),
    queueDepth: createGauges({
      registry,
      name: "dynamo_work_handler_queue_depth",
      help: "Requests that wait for their turn, and further completions of those that run",
      labels,
    }),
    queueCapacity: createGauges({
      registry,
      name: "dynamo_work_handler_queue_capacity",
      help: "Requests that may wait for their turn; 0 if requests are not limited",
      labels,
    }),
  };
}

function createEndpointMetrics(families: ComponentFamilies, labels: EndpointLabels): EndpointMetrics {
  const { errors, firstResponse } = families;
  const requests = families.requests.with(labels);
  const duration = families.duration.with(labels);
  const inflight = families.inflight.with(labels);
  const requestBytes = families.requestBytes.with(labels);
  const responseBytes = families.responseBytes.with(labels);
  const cancellations = families.cancellations.with(labels);
  return {
    places: families.places.with(labels),
    placesTaken: families.placesTaken.with(labels),
    queueDepth: families.queueDepth.with(labels),
    queueCapacity: families.queueCapacity.with(labels),
    begin(bytes) {
      requests.inc();
      inflight.inc();
      requestBytes.inc(bytes);
    },
    end({ failedStep, isCancelled, responseBytes: bytes, elapsedMs, ttftMs, trace }) {
      inflight.dec();
      responseBytes.inc(bytes);
      duration.observe(elapsedMs / 1000);
      if (trace) duration.mark(elapsedMs / 1000, trace);
      if (ttftMs !== undefined) firstResponse.observe(ttftMs / 1000);
      if (isCancelled) cancellations.inc();
      if (failedStep) errors.with({ ...labels, error_type: failedStep }).inc();
    },
  };
}
