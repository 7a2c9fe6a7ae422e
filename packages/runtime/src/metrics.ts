/** Counters of the runtime itself, in the Prometheus registry of the process. */
import { Counter, Gauge, Registry } from "@prometheus-io/client";

export interface RuntimeMetrics {
  readonly registry: Registry;
  /** Answers whose ids differ from what was sent. Must stay 0. */
  readonly lineageMismatch: Counter;
  readonly inflight: Gauge;
  readonly connections: Gauge;
}

export function createRuntimeMetrics(registry: Registry = new Registry()): RuntimeMetrics {
  const registers = [registry];
  return {
    registry,
    lineageMismatch: new Counter({
      name: "dynamo_request_plane_lineage_mismatch_total",
      help: "Answers whose request id, trace id, parent span, instance or attempt differ from what was sent",
      registers,
    }),
    inflight: new Gauge({ name: "dynamo_request_plane_inflight_requests", help: "Attempts that wait for a worker's answer", registers }),
    connections: new Gauge({ name: "dynamo_request_plane_connections", help: "Open connections to workers", registers }),
  };
}
