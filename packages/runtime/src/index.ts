/** `@dyn/runtime`: endpoints, clients, and the identity of a request. */
/// <reference types="node" preserve="true" />
export { createRuntime } from "./runtime.ts";
export type { ClientOptions, Runtime, RuntimeOptions } from "./runtime.ts";
export type { Answer, Client, Endpoint, GenerateOptions, ServeOptions, Serving } from "./endpoint.ts";
export type { AttemptOutcome, AttemptReport } from "./egress/attempt.ts";
export { routerModes } from "./egress/pick.ts";
export type { RouterMode } from "./egress/pick.ts";
export type { Batches } from "./egress/router.ts";
export type { Handler, PeerConnection, RequestContext } from "./engine.ts";
export { isErrorCode, RuntimeError, StalledError, toPublicMessage, toRuntimeError } from "./errors.ts";
export type { ErrorCode, ErrorTraits } from "./errors.ts";
export { createMemorySpace } from "./discovery/memory.ts";
export type { MemorySpace } from "./discovery/memory.ts";
export type { Discovery, Snapshot, Watch } from "./discovery/discovery.ts";
export type { Instance } from "./discovery/live-set.ts";
export type { Bucket, DiscoveryRecord, EndpointRecord, ModelCard, ModelRecord } from "./discovery/records.ts";
export { formatAddress } from "./discovery/records.ts";
export {
  completeSettings,
  decimalNumber,
  maxTimerMs,
  oneOf,
  parseName,
  parseSwitch,
  plainText,
  readSettings,
  runtimeSettings,
  wholeNumber,
} from "./config.ts";
export type { Environment, RuntimeConfig, Setting, SettingsOf } from "./config.ts";
export { declareFlags, readFlags } from "./flags.ts";
export type { FlagTaker } from "./flags.ts";
export type { ChildOptions, Logger } from "./logging/logger.ts";
export type { LogEvent } from "./logging/events.ts";
export type { Fields } from "./logging/format.ts";
export { createRuntimeMetrics } from "./metrics.ts";
export type { RuntimeMetrics } from "./metrics.ts";
export { createCounters, createGauges, createHistograms } from "./instruments/family.ts";
export type { Family, Labels } from "./instruments/family.ts";
export type { Counter, Gauge, Histogram } from "./instruments/series.ts";
export { chooseMetricsFormat, renderMetrics } from "./instruments/exposition.ts";
export type { System } from "./system/system.ts";
export { createRequestId, describeBadRequestId, isSaneClientId, isUuid } from "./ids.ts";
export { selectBaggage } from "./trace/baggage.ts";
export { acceptTrace, isSampled } from "./trace/traceparent.ts";
export { toOutcome } from "./trace/spans.ts";
export type { Attributes, Span, SpanKind, Tracer } from "./trace/spans.ts";
export type { TraceContext } from "./trace/traceparent.ts";
export { toLogFields } from "./trace/identity.ts";
export type { Identity } from "./trace/identity.ts";
export { createEndReport, tellParent, watchSignals } from "./lifetime.ts";
export type { EndReport, ShutdownSignal } from "./lifetime.ts";
