/** The OpenTelemetry SDK behind our tracer: resource, sampler, queue, exporter, and the place where user code finds the active span. */
import { hostname } from "node:os";
import { context, propagation, ProxyTracerProvider, trace as api } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from "@opentelemetry/core";
import { defaultResource, resourceFromAttributes, type Resource } from "@opentelemetry/resources";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type Sampler,
} from "@opentelemetry/sdk-trace";
import { within } from "../lifetime.ts";
import type { Logger } from "../logging/logger.ts";
import type { Tracer } from "../trace/spans.ts";
import type { WallClock } from "../wall-clock.ts";
import { createExporter } from "./exporters.ts";
import { Decisions, SdkTracer } from "./sdk-tracer.ts";
import { toDestination, type TelemetryConfig } from "./settings.ts";
import { SpanQueue } from "./span-queue.ts";

const scope = "dyn";
/** What an export that just began may still need after its own timeout to be counted. */
const graceMs = 500;

/** Told apart from the provider of an SDK that the program brought itself. */
class RuntimeTracerProvider extends TracerProvider {}

/** Owned by the runtime, closed after everything that makes spans. */
export interface Telemetry {
  readonly tracer: Tracer;
  /** Export what is queued, for at most the time one export may take. */
  close(): Promise<void>;
}

/** What the exporter says of the process, and its clock. */
export interface OtlpOptions {
  readonly config: TelemetryConfig;
  readonly log: Logger;
  readonly instanceId: string;
  readonly clock: WallClock;
}

/** Open the exporter, and be the tracer provider of the process unless it has one. @throws RuntimeError `invalid_argument` if the exporter cannot be made. */
export async function openOtlp({ config: given, log, instanceId, clock }: OtlpOptions): Promise<Telemetry> {
  const config = applySampleRatio(given);
  const destination = toDestination(config);
  const { maxQueueSize, maxBatchSize, scheduleDelayMs } = config;
  const exporter = await createExporter(destination);
  const queue = new SpanQueue({
    exporter,
    maxQueueSize,
    maxBatchSize,
    scheduleDelayMs,
    log,
    now: () => performance.now(),
  });
  const resource = toResource(config, instanceId);
  const decisions = new Decisions(toSampler(config));
  const provider = new RuntimeTracerProvider({
    resource,
    sampler: decisions,
    idGenerator: decisions,
    spanProcessors: [queue],
  });
  const release = register(provider, log);
  const endpoint = withoutCredentials(destination.url);
  const { "service.name": service } = resource.attributes;
  log.info(
    { endpoint, protocol: destination.protocol, service, sampler: config.sampler },
    "OpenTelemetry OTLP export enabled (traces)",
  );
  return {
    tracer: new SdkTracer(provider.getTracer(scope), decisions, clock),
    async close() {
      await within(
        provider.shutdown().catch(() => undefined),
        destination.timeoutMs + graceMs,
      ); // failed exports were counted by the queue
      release();
      if (queue.missing > 0) log.warn({ lost_spans: queue.missing }, "spans lost in all");
    },
  };
}

function applySampleRatio(config: TelemetryConfig): TelemetryConfig {
  const { sampleRatio } = config;
  return sampleRatio === undefined
    ? config
    : { ...config, sampler: "parentbased_traceidratio", samplerArg: sampleRatio };
}

// Precedence as the standard has it: OTEL_SERVICE_NAME, then OTEL_RESOURCE_ATTRIBUTES, then what the process knows.
function toResource({ serviceName, resourceAttributes }: TelemetryConfig, instanceId: string): Resource {
  const own = {
    "service.name": "dynamo",
    "service.instance.id": instanceId,
    "host.name": hostname(),
    "process.pid": process.pid,
  };
  return defaultResource().merge(
    resourceFromAttributes({
      ...own,
      ...resourceAttributes,
      ...(serviceName !== "" && { "service.name": serviceName }),
    }),
  );
}

function toSampler({ sampler, samplerArg }: TelemetryConfig): Sampler {
  switch (sampler) {
    case "always_on":
      return new AlwaysOnSampler();
    case "always_off":
      return new AlwaysOffSampler();
    case "traceidratio":
      return new TraceIdRatioBasedSampler(samplerArg);
    case "parentbased_always_on":
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
    case "parentbased_always_off":
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case "parentbased_traceidratio":
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(samplerArg) });
  }
}

// The API is one per process: the first runtime's provider serves the spans of user code, unless the program brought an SDK of its own.
function register(provider: TracerProvider, log: Logger): () => void {
  const isOurs = api.setGlobalTracerProvider(provider);
  const contexts = new AsyncLocalStorageContextManager();
  const hasContexts = context.setGlobalContextManager(contexts);
  const propagators = [new W3CTraceContextPropagator(), new W3CBaggagePropagator()];
  const hasPropagator = propagation.setGlobalPropagator(new CompositePropagator({ propagators }));
  if (!isOurs && !isSharedProvider()) {
    log.warn(
      {},
      "this process has an OpenTelemetry SDK already, or another version of @opentelemetry/api: spans made with it are not exported here",
    );
  }
  return () => {
    if (isOurs) api.disable();
    if (hasContexts) context.disable();
    if (hasPropagator) propagation.disable();
  };
}

function isSharedProvider(): boolean {
  const registered = api.getTracerProvider();
  return registered instanceof ProxyTracerProvider && registered.getDelegate() instanceof RuntimeTracerProvider;
}

function withoutCredentials(text: string): string {
  const url = new URL(text);
  url.username = "";
  url.password = "";
  return url.href;
}
