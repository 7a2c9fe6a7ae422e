/** The frontend's Prometheus metrics, with Dynamo's names, labels and buckets (llm http/service/metrics.rs). */
import { Counter, Gauge, Histogram, type Registry } from "@prometheus-io/client";

export interface FrontendMetrics {
  readonly started: Counter<"model" | "endpoint" | "request_type">;
  readonly requests: Counter<"model" | "endpoint" | "request_type" | "status" | "error_type">;
  readonly active: Gauge<"model">;
  readonly duration: Histogram<"model">;
  readonly ttft: Histogram<"model">;
  readonly itl: Histogram<"model">;
  readonly inputTokens: Histogram<"model">;
  readonly outputTokens: Histogram<"model">;
  readonly outputTokensTotal: Counter<"model">;
}

const durations = [0, 2, 4, 8, 16, 32, 64, 130, 260, 510];
const firstToken = [0, 0.0022, 0.0047, 0.01, 0.022, 0.047, 0.1, 0.22, 0.47, 1, 2.2, 4.7, 10, 22, 48, 100, 220, 480];
const betweenTokens = [0, 0.0019, 0.0035, 0.0067, 0.013, 0.024, 0.045, 0.084, 0.16, 0.3, 0.56, 1.1, 2];
const inputLengths = [0, 100, 210, 430, 870, 1800, 3600, 7400, 15_000, 31_000, 63_000, 130_000];
const outputLengths = [0, 100, 210, 430, 880, 1800, 3700, 7600, 16_000, 32_000];

/** Register all of them under `prefix_`, or find them there: frontends of one runtime share them. */
export function createFrontendMetrics(registry: Registry, prefix: string): FrontendMetrics {
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[]): Counter<Label> => {
    const found = registry.getSingleMetric(`${prefix}_${name}`);
    return found instanceof Counter ? found : new Counter({ name: `${prefix}_${name}`, help, labelNames, registers });
  };
  const gauge = (name: string, help: string): Gauge<"model"> => {
    const found = registry.getSingleMetric(`${prefix}_${name}`);
    return found instanceof Gauge ? found : new Gauge({ name: `${prefix}_${name}`, help, labelNames: ["model"], registers });
  };
  const histogram = (name: string, help: string, buckets: number[]): Histogram<"model"> => {
    const found = registry.getSingleMetric(`${prefix}_${name}`);
    return found instanceof Histogram ? found : new Histogram({ name: `${prefix}_${name}`, help, labelNames: ["model"], buckets, registers });
  };
  return {
    started: counter("requests_started_total", "Inference requests received", ["model", "endpoint", "request_type"]),
    requests: counter("requests_total", "Inference requests completed", ["model", "endpoint", "request_type", "status", "error_type"]),
    active: gauge("active_requests", "Inference requests under way"),
    duration: histogram("request_duration_seconds", "From request to the end of its answer", durations),
    ttft: histogram("time_to_first_token_seconds", "From request to the first token", firstToken),
    itl: histogram("inter_token_latency_seconds", "Mean time between tokens of a request", betweenTokens),
    inputTokens: histogram("input_sequence_tokens", "Prompt tokens", inputLengths),
    outputTokens: histogram("output_sequence_tokens", "Completion tokens", outputLengths),
    outputTokensTotal: counter("output_tokens_total", "Completion tokens in all", ["model"]),
  };
}
