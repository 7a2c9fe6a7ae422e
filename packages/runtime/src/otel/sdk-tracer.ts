/** Our spans as spans of the SDK. They carry the ids that travel on the plane and stand in the log: the SDK is told them, it makes none of its own for us. */
import {
  context,
  createContextKey,
  createTraceState,
  isSpanContextValid,
  ROOT_CONTEXT,
  SpanKind as Kinds,
  SpanStatusCode,
  trace as api,
  TraceFlags,
} from "@opentelemetry/api";
import type {
  Attributes as SdkAttributes,
  Context,
  HrTime,
  Link,
  Span as SdkSpan,
  SpanContext,
  SpanKind as Kind,
  Tracer as ApiTracer,
} from "@opentelemetry/api";
import { SamplingDecision, type IdGenerator, type Sampler, type SamplingResult } from "@opentelemetry/sdk-trace";
import { createSpanId, createTraceId } from "../ids.ts";
import type { ActiveSpan, Attributes, Span, SpanKind, Tracer } from "../trace/spans.ts";
import { isSampled, type TraceContext } from "../trace/traceparent.ts";
import type { WallClock } from "../wall-clock.ts";

const kinds: Readonly<Record<SpanKind, Kind>> = {
  internal: Kinds.INTERNAL,
  server: Kinds.SERVER,
  client: Kinds.CLIENT,
};

/** Where a context keeps the id of our nearest span. */
const ownSpanKey = createContextKey("dyn span");

/** Ids and sampling of the next span: given while one of ours starts, made anew for spans of user code. */
export class Decisions implements IdGenerator, Sampler {
  readonly sampler: Sampler;
  /** Set only while our own span starts, which is synchronous. */
  given: TraceContext | undefined;

  constructor(sampler: Sampler) {
    this.sampler = sampler;
  }

  generateTraceId = (): string => this.given?.traceId ?? createTraceId();
  generateSpanId = (): string => this.given?.spanId ?? createSpanId();

  shouldSample(
    parent: Context,
    traceId: string,
    name: string,
    kind: Kind,
    attributes: SdkAttributes,
    links: Link[],
  ): SamplingResult {
    if (!this.given) return this.sampler.shouldSample(parent, traceId, name, kind, attributes, links);
    return { decision: isSampled(this.given) ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD };
  }

  toString(): string {
    return this.sampler.toString();
  }
}

/** The tracer of a process that exports spans. */
export class SdkTracer implements Tracer {
  readonly isOn = true;
  #tracer: ApiTracer;
  #decisions: Decisions;
  #clock: WallClock;

  constructor(tracer: ApiTracer, decisions: Decisions, clock: WallClock) {
    this.#tracer = tracer;
    this.#decisions = decisions;
    this.#clock = clock;
  }

  sample(trace: TraceContext): TraceContext {
    const { decision } = this.#decisions.sampler.shouldSample(
      toParent(trace, true),
      trace.traceId,
      "",
      Kinds.SERVER,
      {},
      [],
    );
    const isTaken = decision === SamplingDecision.RECORD_AND_SAMPLED;
    if (isTaken === isSampled(trace)) return trace;
    return { ...trace, flags: isTaken ? trace.flags | TraceFlags.SAMPLED : trace.flags & ~TraceFlags.SAMPLED };
  }

  startSpan(name: string, kind: SpanKind, trace: TraceContext, startedAt: number = performance.now()): Span {
    this.#decisions.given = trace;
    try {
      const offset = this.#clock.offset(); // all times of a span go by the clock at its start: its duration holds whatever becomes of that
      const startTime = toTime(startedAt + offset);
      const span = this.#tracer.startSpan(name, { kind: kinds[kind], startTime }, toParent(trace, kind === "server"));
      span.spanContext().traceFlags = trace.flags; // the SDK knows the sampled bit only; the others travel, too
      return new SdkBackedSpan(span, offset, kind === "server" ? ROOT_CONTEXT : undefined);
    } finally {
      this.#decisions.given = undefined;
    }
  }

  active(): ActiveSpan | undefined {
    const found = api.getActiveSpan()?.spanContext();
    if (!found || !isSpanContextValid(found)) return undefined;
    const { traceId, spanId, traceFlags: flags, traceState } = found;
    const tracestate = traceState?.serialize();
    const trace = { traceId, spanId, flags, ...(tracestate !== undefined && tracestate !== "" && { tracestate }) };
    const own = context.active().getValue(ownSpanKey);
    return { trace, ownSpanId: typeof own === "string" ? own : undefined };
  }
}

function toParent({ traceId, parentId, flags, tracestate }: TraceContext, isRemote: boolean): Context {
  if (parentId === undefined) return ROOT_CONTEXT;
  const parent: SpanContext = { traceId, spanId: parentId, traceFlags: flags, isRemote };
  if (tracestate !== undefined) parent.traceState = createTraceState(tracestate);
  return api.setSpanContext(ROOT_CONTEXT, parent);
}

function toTime(epochMs: number): HrTime {
  const seconds = Math.floor(epochMs / 1000);
  return [seconds, Math.floor((epochMs - seconds * 1000) * 1e6)];
}

class SdkBackedSpan implements Span {
  readonly isRecording: boolean;
  #span: SdkSpan;
  #offset: number;
  #context: Context | undefined;
  #isOver = false;

  /** `offset`: Unix time minus `performance.now()`, ms. `base`: what else is active within the span; default what is active where it is first run. Requests from outside have nothing. */
  constructor(span: SdkSpan, offset: number, base: Context | undefined) {
    this.#span = span;
    this.#offset = offset;
    if (base) this.#context = this.#enter(base);
    this.isRecording = span.isRecording();
  }

  setAttributes(attributes: Attributes): void {
    if (this.#isOver) return;
    for (const [key, value] of Object.entries(attributes)) {
      if (Array.isArray(value)) this.#span.setAttribute(key, [...(value as readonly string[])]);
      else if (typeof value !== "object" && value !== undefined) this.#span.setAttribute(key, value); // plain JavaScript reports objects, too, and null
    }
  }

  addEvent(name: string, at: number): void {
    if (!this.#isOver) this.#span.addEvent(name, undefined, toTime(at + this.#offset));
  }

  link({ traceId, spanId }: { readonly traceId: string; readonly spanId: string }): void {
    const to: SpanContext = { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
    if (!this.#isOver && isSpanContextValid(to)) this.#span.addLink({ context: to });
  }

  fail(type: string, message: string): void {
    if (this.#isOver) return;
    this.#span.setAttribute("error.type", type);
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message });
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#span.end(toTime(performance.now() + this.#offset));
  }

  run<Result>(work: () => Result): Result {
    this.#context ??= this.#enter(context.active());
    return context.with(this.#context, work);
  }

  #enter(base: Context): Context {
    return api.setSpan(base, this.#span).setValue(ownSpanKey, this.#span.spanContext().spanId);
  }
}
