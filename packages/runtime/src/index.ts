/** `@dyn/runtime`: endpoints, clients, and the identity of a request. docs/library.md has every name. */
/// <reference types="node" preserve="true" />
export { createRuntime } from "./runtime.ts";
export type { ClientOptions, Runtime, RuntimeOptions } from "./runtime.ts";
export type { Environment } from "./settings/environment.ts";
export type { RuntimeConfig } from "./settings/runtime-settings.ts";
export type { ShutdownSignal } from "./lifetime.ts";
export type { Answer, Client, Endpoint, GenerateOptions, ServeOptions, Serving } from "./endpoint.ts";
export type { AttemptOutcome, AttemptReport } from "./egress/attempt.ts";
export type { RouterMode } from "./egress/pick.ts";
export type { Batches } from "./egress/router.ts";
export type { Handler, Places, RequestContext } from "./handler.ts";
export { isErrorCode, RuntimeError, toRuntimeError } from "./errors.ts";
export type { ErrorCode, ErrorTraits } from "./errors.ts";
export type { Identity } from "./trace/identity.ts";
export type { TraceContext } from "./trace/traceparent.ts";
export type { Tracer } from "./trace/spans.ts";
export type { Logger } from "./logging/logger.ts";
export type { Fields } from "./logging/format.ts";
export { createMemorySpace } from "./discovery/memory.ts";
export type { MemorySpace } from "./discovery/memory.ts";
export type { Condition } from "./condition.ts";
export type { Discovery } from "./discovery/discovery.ts";
export type { Instance } from "./discovery/instance.ts";
export type { RuntimeMetrics } from "./metrics/runtime-metrics.ts";
export type { MemoryBudget } from "./memory-budget.ts";
export type { System } from "./system/system.ts";
export { version } from "./version.ts";
