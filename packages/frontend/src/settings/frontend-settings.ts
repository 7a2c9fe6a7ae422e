/** Settings of the frontend. */
import {
  maxTimerMs,
  numberSetting,
  oneOf,
  optional,
  parseName,
  parsePrefix,
  parseSwitch,
  routerModes,
  inUnits,
  mebibyte,
  second,
  type SettingsOf,
} from "@dyn/runtime/internal";
import { parseResponseHeaders } from "./allowed-headers.ts";
import type { FrontendOptions } from "./frontend-options.ts";
import { parseExposed } from "./exposed-paths.ts";
import { parseForwarded } from "./header-names.ts";
import { httpSettings } from "./http-settings.ts";

/** One entry per option; flag over variable over default. */
export const frontendSettings: SettingsOf<FrontendOptions> = {
  ...httpSettings,
  namespace: {
    env: "DYN_NAMESPACE",
    flag: "namespace",
    default: "",
    parse: optional(parseName),
    help: "serve only models of this namespace; empty means all",
  },
  expose: {
    env: "DYN_EXPOSE",
    flag: "expose",
    default: [],
    parse: parseExposed,
    help: "endpoints of one's own that are served over HTTP, such as /v1/greet=dyn://demo.greeter.generate, separated by commas; none by default",
  },
  routerMode: {
    env: "DYN_ROUTER_MODE",
    flag: "router-mode",
    default: "round-robin",
    parse: oneOf(...routerModes),
    help: `how workers are chosen: ${routerModes.join(", ")} (only as the header x-worker-instance-id says)`,
  },
  metricsPrefix: {
    env: "DYN_METRICS_PREFIX",
    flag: "metrics-prefix",
    default: "dynamo_frontend",
    parse: parsePrefix,
    help: "first part of metric names",
  },
  metricsModelGraceMs: inUnits(
    second,
    numberSetting(
      "DYN_METRICS_MODEL_GRACE_SECS",
      "metrics-model-grace-secs",
      300,
      [0, 86_400],
      "how long the series of a model stay in the metrics after its last worker has left, s",
    ),
  ),
  strictRequestId: {
    env: "DYN_STRICT_REQUEST_ID",
    flag: "strict-request-id",
    default: false,
    parse: parseSwitch,
    help: "answer 400 to a request-id header that is not a UUID, or is that of a running request, instead of replacing it",
  },
  baggageKeys: {
    env: "DYN_BAGGAGE_KEYS",
    flag: "baggage-keys",
    default: [],
    parse: parseBaggageKeys,
    help: "keys of W3C baggage that travel on to workers, separated by commas; none by default",
  },
  forwardHeaders: {
    env: "DYN_FORWARD_HEADERS",
    flag: "forward-headers",
    default: [],
    parse: parseForwarded,
    help: "names of headers that travel on to workers, separated by commas, none that holds a credential; none by default",
  },
  responseHeaders: {
    env: "DYN_RESPONSE_HEADERS",
    flag: "response-headers",
    default: [],
    parse: parseResponseHeaders,
    help: "names of headers of answers that engines may set, separated by commas, x-ratelimit-* for all that begin so; none by default",
  },
  requestHistory: numberSetting(
    "DYN_REQUEST_HISTORY",
    "request-history",
    1_000,
    [0, 100_000],
    "finished requests that GET /v1/requests/{id} can still show; 0 turns it off",
  ),
  keptResponses: numberSetting(
    "DYN_KEPT_RESPONSES",
    "kept-responses",
    1_000,
    [0, 100_000],
    "responses that are kept for previous_response_id and GET /v1/responses/{id}, of all callers; the longest unused give way; 0 keeps none",
  ),
  keptResponsesLimitBytes: inUnits(
    mebibyte,
    numberSetting(
      "DYN_KEPT_RESPONSES_LIMIT_MB",
      "kept-responses-limit-mb",
      64,
      [1, 16_384],
      "most that kept responses and their conversations take, MiB",
    ),
  ),
  requestTimeoutMs: numberSetting(
    "DYN_REQUEST_TIMEOUT_MS",
    "request-timeout-ms",
    600_000,
    [0, maxTimerMs],
    "how long a whole answer may take, ms; a client may ask for less with the header x-request-timeout-ms; 0 = no limit",
  ),
  firstTokenTimeoutMs: numberSetting(
    "DYN_FIRST_TOKEN_TIMEOUT_MS",
    "first-token-timeout-ms",
    120_000,
    [0, maxTimerMs],
    "how long the first token may take, ms; 0 = no limit",
  ),
  tokenTimeoutMs: numberSetting(
    "DYN_TOKEN_TIMEOUT_MS",
    "token-timeout-ms",
    60_000,
    [0, maxTimerMs],
    "how long each further token may take, ms; 0 = no limit",
  ),
  sseKeepAliveMs: numberSetting(
    "DYN_HTTP_SSE_KEEP_ALIVE_INTERVAL_MS",
    "sse-keep-alive-ms",
    10_000,
    [0, maxTimerMs],
    "after how much silence a stream is sent something that clients skip, so that proxies keep it open, ms; 0 turns that off",
  ),
  drainDelayMs: numberSetting(
    "DYN_DRAIN_DELAY_MS",
    "drain-delay-ms",
    0,
    [0, maxTimerMs],
    "how long after SIGTERM requests are still taken, while /health says draining, for balancers that have not heard of it, ms",
  ),
  httpGracefulShutdownTimeoutMs: inUnits(
    second,
    numberSetting(
      "DYN_HTTP_GRACEFUL_SHUTDOWN_TIMEOUT_SECS",
      "http-graceful-shutdown-timeout-secs",
      30,
      [0, 86_400],
      "how long running requests may take after SIGTERM, s",
    ),
  ),
};

function parseBaggageKeys(text: string): readonly string[] {
  const keys = text.split(",").flatMap((key) => key.trim() || []);
  if (!keys.every((key) => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}$/.test(key)))
    throw new Error("expected keys of baggage members, separated by commas");
  return keys;
}
