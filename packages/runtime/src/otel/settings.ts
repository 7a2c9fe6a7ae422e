/** The variables of the trace exporter: OpenTelemetry's names, and Dynamo's where it has one of its own. They are read only when export is on. */
import { maxTimerMs } from "../settings/environment.ts";
import { decimalNumber, oneOf, plainText, wholeNumber, type Variable, type VariablesOf } from "../settings/setting.ts";

/** How spans travel. */
export type Protocol = "grpc" | "http/protobuf";

/** `key=value` pairs. */
export type Pairs = Readonly<Record<string, string>>;

/** What the variables say; docs/tracing.md has them with their defaults. */
export interface TelemetryConfig {
  readonly endpoint: string;
  readonly tracesEndpoint: string;
  readonly protocol: Protocol;
  readonly tracesProtocol: Protocol | "";
  readonly headers: Pairs;
  readonly tracesHeaders: Pairs;
  readonly timeoutMs: number;
  readonly serviceName: string;
  readonly resourceAttributes: Pairs;
  readonly sampler: SamplerName;
  readonly samplerArg: number;
  readonly sampleRatio: number | undefined;
  readonly scheduleDelayMs: number;
  readonly maxQueueSize: number;
  readonly maxBatchSize: number;
}

/** Whether spans are exported at all. */
export interface TelemetrySwitches {
  readonly isDisabled: boolean;
  readonly exporter: "otlp" | "none";
}

const samplers = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
] as const;
/** OpenTelemetry's names of samplers. */
export type SamplerName = (typeof samplers)[number];

function variable<Value>(env: string, fallback: Value, parse: (text: string) => Value, help: string): Variable<Value> {
  return { env, default: fallback, parse, help };
}

function secret(env: string, help: string): Variable<Pairs> {
  return { env, default: {}, parse: parsePairs, help, isSecret: true };
}

/** What turns off an export that is asked for. Values of OpenTelemetry that would mean something else here are refused. */
export const telemetrySwitches: VariablesOf<TelemetrySwitches> = {
  isDisabled: variable("OTEL_SDK_DISABLED", false, parseBoolean, "true turns the export off"),
  exporter: variable("OTEL_TRACES_EXPORTER", "otlp", oneOf("otlp", "none"), "otlp; none turns the export off"),
};

/** One entry per variable. */
export const telemetrySettings: VariablesOf<TelemetryConfig> = {
  endpoint: variable(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "",
    parseUrl,
    "collector; default `http://localhost:4317` (grpc) or `http://localhost:4318`. http/protobuf posts to `v1/traces` below it",
  ),
  tracesEndpoint: variable(
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "",
    parseUrl,
    "the same for traces alone, used as it is",
  ),
  protocol: variable("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", oneOf("grpc", "http/protobuf"), "grpc or http/protobuf"),
  tracesProtocol: variable(
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "",
    oneOf<Protocol | "">("grpc", "http/protobuf"),
    "the same for traces alone",
  ),
  headers: secret(
    "OTEL_EXPORTER_OTLP_HEADERS",
    "headers of every export, `key=value` separated by commas, values percent-encoded",
  ),
  tracesHeaders: secret("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "more of them for traces; they win"),
  timeoutMs: variable(
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    5_000,
    wholeNumber(1, maxTimerMs),
    "how long one export may take, and so how long the last one may hold the end of the process, ms",
  ),
  serviceName: variable(
    "OTEL_SERVICE_NAME",
    "",
    plainText,
    "`service.name` of the resource; default: the one of OTEL_RESOURCE_ATTRIBUTES, else `dynamo`",
  ),
  resourceAttributes: variable(
    "OTEL_RESOURCE_ATTRIBUTES",
    {},
    parsePairs,
    "more attributes of the resource, `key=value` separated by commas",
  ),
  sampler: variable(
    "OTEL_TRACES_SAMPLER",
    "parentbased_always_on",
    oneOf(...samplers),
    `which traces are exported: ${samplers.join(", ")}`,
  ),
  samplerArg: variable("OTEL_TRACES_SAMPLER_ARG", 1, decimalNumber(0, 1), "share of traces the ratio samplers take"),
  sampleRatio: variable<number | undefined>(
    "OTEL_TRACES_SAMPLE_RATIO",
    undefined,
    decimalNumber(0, 1),
    "Dynamo's short form: this share of the traces that begin here; wins over OTEL_TRACES_SAMPLER",
  ),
  scheduleDelayMs: variable(
    "OTEL_BSP_SCHEDULE_DELAY",
    5_000,
    wholeNumber(1, maxTimerMs),
    "longest time a span waits for its batch, ms",
  ),
  maxQueueSize: variable(
    "OTEL_BSP_MAX_QUEUE_SIZE",
    2_048,
    wholeNumber(1, 1_000_000),
    "spans that may wait; further ones are dropped and counted",
  ),
  maxBatchSize: variable("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, wholeNumber(1, 1_000_000), "most spans in one export"),
};

// OpenTelemetry's boolean takes every word but true for false: whoever writes 1 means the other.
function parseBoolean(text: string): boolean {
  return oneOf("true", "false")(text.toLowerCase()) === "true";
}

function parseUrl(text: string): string {
  const url = URL.parse(text.trim());
  if (text !== "" && url?.protocol !== "http:" && url?.protocol !== "https:")
    throw new Error("expected a URL that begins with http:// or https://");
  return text.trim();
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** `key=value,key=value` with percent-encoded values, as W3C Baggage writes them. */
function parsePairs(text: string): Pairs {
  const pairs: Record<string, string> = {};
  for (const pair of plainText(text).split(",")) {
    if (pair.trim() === "") continue;
    const equals = pair.indexOf("=");
    const key = pair.slice(0, equals).trim();
    if (equals < 0 || !token.test(key)) throw new Error("expected key=value pairs, separated by commas");
    pairs[key] = decode(pair.slice(equals + 1).trim());
  }
  return pairs;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a lone % is meant as it stands
  }
}

/** Where traces go, and how. */
export interface Destination {
  readonly protocol: Protocol;
  readonly url: string;
  readonly headers: Pairs;
  readonly timeoutMs: number;
}

/** The more special variable wins; a general http endpoint gets the path of traces. Source: OpenTelemetry, OTLP exporter configuration. */
export function toDestination(config: TelemetryConfig): Destination {
  const protocol = config.tracesProtocol === "" ? config.protocol : config.tracesProtocol;
  const base = config.endpoint === "" ? `http://localhost:${protocol === "grpc" ? 4317 : 4318}` : config.endpoint;
  const general = protocol === "grpc" ? base : `${base.replace(/\/$/, "")}/v1/traces`;
  return {
    protocol,
    url: config.tracesEndpoint === "" ? general : config.tracesEndpoint,
    headers: { ...config.headers, ...config.tracesHeaders },
    timeoutMs: config.timeoutMs,
  };
}
