/** What a worker counts of its endpoints. Names, labels and buckets are Dynamo's where it has the metric. */
import { createCounters, createGauges, createHistograms, type Family, type Labels } from "./family.ts";
import type { MetricsRegistry } from "./registry.ts";
import type { Counter, Gauge, Histogram, TraceRef } from "./series.ts";

type EndpointLabel = "dynamo_namespace" | "dynamo_component" | "dynamo_endpoint" | "worker_id" | "model";

/** `worker_id` is the instance id, decimal; `model` for endpoints of models. */
export type EndpointLabels = Labels<EndpointLabel>;

/** Which step of a worker failed: reading the request, running the handler, writing an item. */
export type FailedStep = "deserialization" | "generate" | "serialization";

/** What is counted of a request when it is over. */
export interface EndedRequest {
  /** Undefined if all went well, or the client left. */
  readonly failedStep: FailedStep | undefined;
  readonly isCancelled: boolean;
  /** Of items of a request stream. */
  readonly streamedBytes: number;
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
  /** Seconds that requests waited for their first place, those that had it at once and those that gave up included; of endpoints whose requests are limited. */
  readonly permitWait: Histogram;
}

const durations = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600];
const waits = [0.0001, 0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60];
const firstResponses = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** The families of all endpoints of a process. */
export interface ComponentFamilies {
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
  readonly permitWait: Family<EndpointLabel, Histogram>;
}

const endpointLabels: readonly EndpointLabel[] = [
  "dynamo_namespace",
  "dynamo_component",
  "dynamo_endpoint",
  "worker_id",
  "model",
];

/** Register them; `prefix` is the first part of the names of most. */
export function createComponentFamilies(registry: MetricsRegistry, prefix: string): ComponentFamilies {
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
    requestBytes: createCounters({
      ...named("request_bytes_total", "Bytes of requests' payloads, and of the items of those that are streams"),
      labels,
    }),
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
      help: "From a request's arrival at the worker to its first token",
      buckets: firstResponses,
    }).with({}),
    ...createPlaceFamilies(registry),
  };
}

type PlaceFamilies = Pick<ComponentFamilies, "places" | "placesTaken" | "queueDepth" | "queueCapacity" | "permitWait">;

function createPlaceFamilies(registry: MetricsRegistry): PlaceFamilies {
  const labels = endpointLabels;
  return {
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
    permitWait: createHistograms({
      registry,
      name: "dynamo_work_handler_permit_wait_seconds",
      help: "From a request's arrival at the worker until it had its place, or gave up waiting; of requests that are limited",
      labels,
      buckets: waits,
    }),
  };
}

/** The series of one endpoint, found once and kept. */
export function createEndpointMetrics(families: ComponentFamilies, labels: EndpointLabels): EndpointMetrics {
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
    permitWait: families.permitWait.with(labels),
    begin(bytes) {
      requests.inc();
      inflight.inc();
      requestBytes.inc(bytes);
    },
    end({ failedStep, isCancelled, streamedBytes, responseBytes: bytes, elapsedMs, ttftMs, trace }) {
      inflight.dec();
      requestBytes.inc(streamedBytes);
      responseBytes.inc(bytes);
      duration.observe(elapsedMs / 1000);
      if (trace) duration.mark(elapsedMs / 1000, trace);
      if (ttftMs !== undefined) firstResponse.observe(ttftMs / 1000);
      if (isCancelled) cancellations.inc();
      if (failedStep) errors.with({ ...labels, error_type: failedStep }).inc();
    },
  };
}
