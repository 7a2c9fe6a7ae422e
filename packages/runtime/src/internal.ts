/** `@dyn/runtime/internal`: what the other packages of dyn need of this one besides its public names. Unstable: it changes with any version,
 *  and a program of yours has no use for it. */
/// <reference types="node" preserve="true" />
export { formatHostPort, isLoopback } from "./address.ts";
export { routerModes } from "./egress/pick.ts";
export { partsOf } from "./handler.ts";
export type { PeerConnection } from "./handler.ts";
export { countCharacters, countOf } from "./counts.ts";
export { roundMs } from "./durations.ts";
export { describeValue, excerpt } from "./excerpt.ts";
export { escapeHidden } from "./hidden-text.ts";
export { errorTable } from "./error-table.ts";
export { maxParamChars, StalledError, toPublicDetails, toPublicMessage } from "./errors.ts";
export type { Change, OnChanges, Watch } from "./discovery/discovery.ts";
export type { Bucket, DiscoveryRecord, EndpointRecord, ModelCard, ModelRecord } from "./discovery/records.ts";
export { formatAddress, isModelName, maxModelNameLength, parseAddress } from "./discovery/records.ts";
export { completeSettings, maxTimerMs, readSettings } from "./settings/environment.ts";
export { assertSignals } from "./settings/options.ts";
export { suggest } from "./settings/suggest.ts";
export { runtimeSettings, sharedSettings } from "./settings/runtime-settings.ts";
export {
  decimalNumber,
  inUnits,
  mebibyte,
  numberSetting,
  oneOf,
  optional,
  parseHost,
  parseName,
  parsePath,
  parsePrefix,
  parseSwitch,
  plainText,
  second,
  wholeNumber,
} from "./settings/setting.ts";
export type { Setting, SettingsOf, Variable, VariablesOf } from "./settings/setting.ts";
export { declareFlags, readFlags, sayWrongUsage } from "./settings/flags.ts";
export { formatTime } from "./logging/format.ts";
export { loggerOf } from "./logging/logger.ts";
export type { ChildOptions, Logger } from "./logging/logger.ts";
export type { LogEvent } from "./logging/events.ts";
export { createMemoryBudget, requestFactor, textFactor } from "./memory-budget.ts";
export type { MemoryShare } from "./memory-budget.ts";
export { createRuntimeMetrics } from "./metrics/runtime-metrics.ts";
export { createCounters, createGauges, createHistograms } from "./metrics/family.ts";
export type { Family, Labels } from "./metrics/family.ts";
export type { Counter, Gauge, Histogram } from "./metrics/series.ts";
export { chooseMetricsFormat, renderMetrics } from "./metrics/exposition.ts";
export { formatKeyLine } from "./http/api-keys.ts";
export type { ApiKeys } from "./http/api-keys.ts";
export { createCallers } from "./http/callers.ts";
export type { Audience, CallerKeys, PortUse } from "./http/callers.ts";
export { decodeText } from "./http/content-text.ts";
export { createCors, parseOrigins } from "./http/cors.ts";
export type { Exchange } from "./http/exchange.ts";
export { openHost } from "./http/host.ts";
export type { HostOptions, HttpHost } from "./http/host.ts";
export { parseHosts } from "./http/hosts.ts";
export type { HttpLimits } from "./http/limits.ts";
export { MediaTypeError, RequestFault } from "./http/malformed.ts";
export { sendJson, sendPage, toErrorHeaders } from "./http/reply.ts";
export type { Reply } from "./http/reply.ts";
export { createRouteTable, methodsOf, pathOf } from "./http/route.ts";
export type { RouteEntry, RouteTable } from "./http/route.ts";
export type { HttpTls } from "./http/server.ts";
export type { Unmatched } from "./http/serve-request.ts";
export { sharePages } from "./http/shared-pages.ts";
export type { Reloading } from "./security/reload.ts";
export { openApiKeys } from "./security/plane-security.ts";
export { explainTlsError, openTls } from "./security/tls.ts";
export type { TlsMaterial, TlsOptions, TlsPaths } from "./security/tls.ts";
export type { SystemRoute } from "./system/routes.ts";
export { createRequestId, describeBadRequestId, isInstanceId, isSaneClientId, isUuid } from "./ids.ts";
export { selectBaggage } from "./trace/baggage.ts";
export { isHeaderName, maxForwardedHeaders } from "./trace/request-headers.ts";
export { keepResponseHeaders } from "./trace/response-headers.ts";
export { acceptTrace, isSampled } from "./trace/traceparent.ts";
export { TokenClock } from "./trace/token-clock.ts";
export { toOutcome } from "./trace/spans.ts";
export type { Attributes, Span, SpanKind } from "./trace/spans.ts";
export { toLogFields } from "./trace/identity.ts";
export { createEndReport } from "./end-report.ts";
export type { EndReport } from "./end-report.ts";
export { createWaiters, once, tellParent, waitMs, watchSignals, within } from "./lifetime.ts";
export { createWallClock } from "./wall-clock.ts";
export type { WallClock, WallClockOptions } from "./wall-clock.ts";
export { holdYoungGeneration } from "./young-generation.ts";
export { RecentMap } from "./recent.ts";
export { isMap, payloadBytes } from "./wire/payload.ts";
export { endOfJsonString, findJsonExcess, isJsonMark, jsonMarks } from "./llm/json-size.ts";
export { maxChoices, maxStops } from "./llm/job-check.ts";
export { reasoningTokensOf, tokensOf } from "./llm/limits.ts";
export { assertDelta, isCount } from "./llm/deltas.ts";
export { isVector, maxDimensions, maxInputs } from "./llm/embeddings.ts";
export { maxTop } from "./llm/logprobs.ts";
export { parseExactJson } from "./llm/tool-json.ts";
export { ToolCalls } from "./llm/tool-calls.ts";
export type { BegunChoice, ExactJson, ModelJob, Prefill } from "./llm/contract.ts";
export { toCountAddress } from "./llm/serve-count.ts";
export type { TokenCount } from "./llm/serve-count.ts";
export { countJobTokens, countPromptTokens, splitTokens } from "./llm/tokens.ts";
export { workerCodes } from "./worker-errors.ts";
