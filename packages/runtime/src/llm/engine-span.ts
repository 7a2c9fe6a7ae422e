/** `engine.generate`: the engine's own place in the trace, below the worker's `handle_payload`. Its id exists whether or not spans are exported. */
import { partsOf, toContext, workerParts, type RequestContext, type WorkerContext } from "../handler.ts";
import type { RuntimeError } from "../errors.ts";
import { once } from "../lifetime.ts";
import { toRuntimeError } from "../thrown.ts";
import { toSpanFields } from "../trace/identity.ts";
import { endSpan, toOutcome, withinSpan, type Attributes, type Tracer } from "../trace/spans.ts";
import { childSpan, formatTraceparent } from "../trace/traceparent.ts";
import type { ModelJob } from "./contract.ts";

const spanName = "engine.generate";

export interface EngineSpan {
  /** What the engine sees: as the handler's, with this span as the current one. */
  readonly context: WorkerContext;
  readonly spanId: string;
  /** Run the engine with the span active. */
  within<Item>(start: () => AsyncIterable<Item>): AsyncIterable<Item>;
  /** `failure` is what ended the work, if it failed. */
  end(failure: RuntimeError | undefined, facts: Attributes, job: ModelJob): void;
}

/** Begin the span; whoever opens it ends it. */
export function openEngineSpan(outer: RequestContext, tracer: Tracer): EngineSpan {
  const trace = childSpan(outer.trace);
  const startedAt = performance.now();
  const span = tracer.startSpan(spanName, "internal", trace, startedAt);
  const parts = partsOf(outer);
  const logger = once(() => parts.logger().child({ fields: () => toSpanFields(trace, spanName) }));
  const { signal, deadlineAt, identity, requestId, xRequestId, tracestate, baggage, apiKeyName } = outer;
  const { headers, attempt, queuedMs, queuePosition, places } = outer;
  const context = toContext({
    signal,
    deadlineAt,
    timeLeftMs: () => outer.timeLeftMs(),
    requestId,
    ...(xRequestId !== undefined && { xRequestId }),
    traceparent: formatTraceparent(trace),
    ...(tracestate !== undefined && { tracestate }),
    trace,
    identity: { ...identity, trace },
    ...(baggage !== undefined && { baggage }),
    ...(apiKeyName !== undefined && { apiKeyName }),
    headers,
    attempt,
    queuedMs,
    queuePosition,
    places,
    report: (facts) => outer.report(facts),
    setResponseHeaders: (more) => outer.setResponseHeaders(more),
    [workerParts]: { ...parts, logger },
  });
  parts.scope.inherited = context;
  return {
    spanId: trace.spanId,
    context,
    within: (start) => (tracer.isOn ? withinSpan(span, start) : start()),
    end(thrown, facts, job) {
      const failure = outer.signal.aborted ? toRuntimeError(outer.signal.reason) : thrown;
      if (span.isRecording) {
        const ids = { request_id: outer.requestId, x_request_id: outer.xRequestId };
        span.setAttributes({ ...ids, ...facts, ...toGenAi(facts, job), ...parts.clock.times(startedAt) });
        const { traceId, spanId } = job.prefill ?? {};
        if (traceId !== undefined && spanId !== undefined) span.link({ traceId, spanId });
      }
      endSpan(span, failure, toOutcome(failure));
    },
  };
}

/** OpenTelemetry's names for what a model did. https://opentelemetry.io/docs/specs/semconv/gen-ai/ */
function toGenAi(facts: Attributes, job: ModelJob): Attributes {
  const { model, input_tokens, output_tokens, finish_reason } = facts;
  return {
    "gen_ai.operation.name": job.prompt || job.prompts ? "text_completion" : "chat",
    "gen_ai.request.model": model,
    "gen_ai.usage.input_tokens": input_tokens,
    "gen_ai.usage.output_tokens": output_tokens,
    ...(typeof finish_reason === "string" && { "gen_ai.response.finish_reasons": [finish_reason] }),
  };
}
