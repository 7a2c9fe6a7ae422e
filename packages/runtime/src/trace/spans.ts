/** Spans: what a request did, for a trace collector. No SDK is known here: `otel/` brings one when export is on, else all of this is two constants. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { RuntimeError } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import type { TraceContext } from "./traceparent.ts";

/** As OpenTelemetry has them. */
export type SpanKind = "internal" | "server" | "client";

/** Facts of a span. Keys are chosen by code; undefined values are left out. */
export type Attributes = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

/** Whoever starts one ends it. Calls after the end do nothing. */
export interface Span {
  /** False if nobody will see it: then its attributes need not be made. */
  readonly isRecording: boolean;
  setAttributes(attributes: Attributes): void;
  /** Something happened at `at`, ms on the clock of `performance.now()`. */
  addEvent(name: string, at: number): void;
  /** Another span that this one goes back to, not its parent; ids that are none are left out. */
  link(to: { readonly traceId: string; readonly spanId: string }): void;
  /** It did not go well. `type` is an error code. */
  fail(type: string, message: string): void;
  end(): void;
  /** Call `work` with this span as the active one of `@opentelemetry/api`. */
  run<Result>(work: () => Result): Result;
}

/** Where the code that asks is: in one of our spans, or in one of its own below it. */
export interface ActiveSpan {
  readonly trace: TraceContext;
  /** The nearest of our spans, which the log tells of. */
  readonly ownSpanId: string | undefined;
}

/** Makes spans of positions in a trace: ids are ours, the SDK exports them as they are. */
export interface Tracer {
  /** False: spans go nowhere, and nothing needs to be done for them. */
  readonly isOn: boolean;
  /** Decide if the trace is recorded, where it enters this process; the answer is in its flags. */
  sample(trace: TraceContext): TraceContext;
  /** Begin the span `trace.spanId` below `trace.parentId`. `startedAt`: ms on the clock of `performance.now()`, default now. */
  startSpan(name: string, kind: SpanKind, trace: TraceContext, startedAt?: number): Span;
  /** The span that is active in `@opentelemetry/api`. */
  active(): ActiveSpan | undefined;
}

/** The span nobody sees. */
export const noSpan: Span = {
  isRecording: false,
  setAttributes: () => undefined,
  addEvent: () => undefined,
  link: () => undefined,
  fail: () => undefined,
  end: () => undefined,
  run: (work) => work(),
};

/** The tracer of a process that exports nothing: flags stay as they came, nothing is allocated. */
export const offTracer: Tracer = {
  isOn: false,
  sample: (trace) => trace,
  startSpan: () => noSpan,
  active: () => undefined,
};

const maxMessage = 1_024;

/** End a span with how its work went. A cancelled request is no error. */
export function endSpan(span: Span, failure: RuntimeError | undefined, outcome: string): void {
  if (span.isRecording) {
    span.setAttributes({ "request.outcome": outcome });
    if (failure && failure.code !== "cancelled") span.fail(failure.code, excerpt(failure.message, maxMessage));
  }
  span.end();
}

/** The word for how a request went where no finer one is known. */
export function toOutcome(failure: RuntimeError | undefined): "success" | "cancelled" | "error" {
  if (!failure) return "success";
  return failure.code === "cancelled" ? "cancelled" : "error";
}

/** The items of `start()`, each step of their generator taken with `span` active: a generator runs in the context of whoever asks it on. */
export function withinSpan<Item>(span: Span, start: () => AsyncIterable<Item>): AsyncIterable<Item> {
  const enter = span.run(() => AsyncLocalStorage.snapshot()); // entering it anew for each item costs a third of `run`
  const iterator = enter(() => start()[Symbol.asyncIterator]());
  const next = (): Promise<IteratorResult<Item>> => iterator.next();
  const leave = (): Promise<IteratorResult<Item>> =>
    iterator.return?.() ?? Promise.resolve({ done: true, value: undefined });
  return { [Symbol.asyncIterator]: () => ({ next: () => enter(next), return: () => enter(leave) }) };
}
