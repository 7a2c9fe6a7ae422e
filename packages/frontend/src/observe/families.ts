/** The frontend's metrics: Dynamo's names, labels and buckets (lib/llm/src/http/service/metrics.rs). */
import type { RuntimeMetrics } from "@dyn/runtime";
import {
  createCounters,
  createGauges,
  createHistograms,
  type Counter,
  type Family,
  type Gauge,
  type Histogram,
} from "@dyn/runtime/internal";

export type RouteLabel = "model" | "endpoint" | "request_type";

export interface FrontendFamilies {
  readonly started: Family<RouteLabel, Counter>;
  readonly requests: Family<RouteLabel | "status" | "error_type", Counter>;
  readonly active: Family<"model", Gauge>;
  readonly inflight: Family<"model", Gauge>;
  readonly queued: Family<"model", Gauge>;
  readonly duration: Family<"model", Histogram>;
  readonly ttft: Family<"model", Histogram>;
  readonly itl: Family<"model", Histogram>;
  readonly inputTokens: Family<"model", Histogram>;
  readonly cachedTokens: Family<"model", Histogram>;
  readonly outputTokens: Family<"model", Histogram>;
  readonly outputTokensTotal: Family<"model", Counter>;
  readonly cancellations: Family<RouteLabel, Counter>;
  readonly rejections: Family<"model" | "endpoint", Counter>;
  readonly migrations: Family<"model" | "migration_type", Counter>;
  readonly contextLength: Family<"model", Gauge>;
  readonly kvCacheBlockSize: Family<"model", Gauge>;
  readonly migrationLimit: Family<"model", Gauge>;
}

const durations = [0, 2, 4, 8, 16, 32, 64, 130, 260, 510];
const firstToken = [0, 0.0022, 0.0047, 0.01, 0.022, 0.047, 0.1, 0.22, 0.47, 1, 2.2, 4.7, 10, 22, 48, 100, 220, 480];
const betweenTokens = [0, 0.0019, 0.0035, 0.0067, 0.013, 0.024, 0.045, 0.084, 0.16, 0.3, 0.56, 1.1, 2];
const inputLengths = [0, 100, 210, 430, 870, 1800, 3600, 7400, 15_000, 31_000, 63_000, 130_000];
const outputLengths = [0, 100, 210, 430, 880, 1800, 3700, 7600, 16_000, 32_000];

type Registry = RuntimeMetrics["registry"];

interface Named {
  readonly registry: Registry;
  readonly name: string;
  readonly help: string;
}

/** Registers families of one prefix. */
interface Maker {
  readonly named: (name: string, help: string) => Named;
  readonly gauge: (name: string, help: string) => Family<"model", Gauge>;
  readonly histogram: (name: string, help: string, buckets: readonly number[]) => Family<"model", Histogram>;
}

const labels = ["model"] as const;
const routeLabels = ["model", "endpoint", "request_type"] as const;

function createMaker(registry: Registry, prefix: string): Maker {
  const named: Maker["named"] = (name, help) => ({ registry, name: `${prefix}_${name}`, help });
  return {
    named,
    gauge: (name, help) => createGauges({ ...named(name, help), labels }),
    histogram: (name, help, buckets) => createHistograms({ ...named(name, help), labels, buckets }),
  };
}

/** Register all of them under `prefix_`, in the order in which they are shown. */
export function createFamilies(registry: Registry, prefix: string): FrontendFamilies {
  const maker = createMaker(registry, prefix);
  return {
    ...createCardFamilies(maker),
    ...createRequestFamilies(maker),
    ...createTokenFamilies(maker),
    ...createEndFamilies(maker),
  };
}

type CardFamilies = Pick<FrontendFamilies, "contextLength" | "kvCacheBlockSize" | "migrationLimit">;

function createCardFamilies({ gauge }: Maker): CardFamilies {
  return {
    contextLength: gauge("model_context_length", "Context length in the model's cards, the least of them, tokens"),
    kvCacheBlockSize: gauge(
      "model_kv_cache_block_size",
      "KV cache block size in the model's cards, the least of them, tokens",
    ),
    migrationLimit: gauge("model_migration_limit", "Migrations all of the model's cards allow a request"),
  };
}

type RequestFamilies = Pick<FrontendFamilies, "started" | "requests" | "active" | "inflight" | "queued" | "duration">;

function createRequestFamilies({ named, gauge, histogram }: Maker): RequestFamilies {
  return {
    started: createCounters({ ...named("requests_started_total", "Inference requests received"), labels: routeLabels }),
    requests: createCounters({
      ...named("requests_total", "Inference requests ended; error_type is empty on success"),
      labels: [...routeLabels, "status", "error_type"],
    }),
    active: gauge("active_requests", "Inference requests under way"),
    inflight: gauge("inflight_requests", "The same as active_requests, by its deprecated name"),
    queued: gauge("queued_requests", "Inference requests under way that have had no token yet"),
    duration: histogram("request_duration_seconds", "From a request's arrival to the end of its answer", durations),
  };
}

type TokenFamilies = Pick<
  FrontendFamilies,
  "ttft" | "itl" | "inputTokens" | "cachedTokens" | "outputTokens" | "outputTokensTotal"
>;

function createTokenFamilies({ named, histogram }: Maker): TokenFamilies {
  return {
    ttft: histogram("time_to_first_token_seconds", "From a request's arrival to its first token", firstToken),
    itl: histogram(
      "inter_token_latency_seconds",
      "Between tokens; of tokens that arrive together each has an equal share",
      betweenTokens,
    ),
    inputTokens: histogram("input_sequence_tokens", "Tokens of a prompt", inputLengths),
    cachedTokens: histogram(
      "cached_tokens",
      "Tokens of a prompt that the engine found in its prefix cache, if it says so",
      inputLengths,
    ),
    outputTokens: histogram("output_sequence_tokens", "Tokens of an answer, if it has any", outputLengths),
    outputTokensTotal: createCounters({
      ...named("output_tokens_total", "Tokens of all answers, as they arrive"),
      labels,
    }),
  };
}

type EndFamilies = Pick<FrontendFamilies, "cancellations" | "rejections" | "migrations">;

function createEndFamilies({ named }: Maker): EndFamilies {
  return {
    cancellations: createCounters({
      ...named("model_cancellation_total", "Requests cancelled before their end"),
      labels: routeLabels,
    }),
    rejections: createCounters({
      ...named("model_rejection_total", "Requests refused for overload"),
      labels: ["model", "endpoint"],
    }),
    migrations: createCounters({
      ...named(
        "model_migration_total",
        "Attempts at another instance: new_request before anything was delivered, ongoing_request after",
      ),
      labels: ["model", "migration_type"],
    }),
  };
}

/** Clients that left before their answer was complete. A gauge that only goes up, as in Dynamo. */
export function createDisconnectedClients(registry: Registry, prefix: string): Gauge {
  const help = "Clients that left before their answer was complete; only goes up";
  return createGauges({ registry, name: `${prefix}_disconnected_clients`, help }).with({});
}
