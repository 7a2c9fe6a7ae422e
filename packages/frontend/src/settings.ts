/** Settings of the frontend. */
import type { RouterMode } from "@dyn/runtime";
import {
  type HttpLimits,
  maxChoices,
  maxTimerMs,
  numberSetting,
  oneOf,
  optional,
  parseHost,
  parseHosts,
  parseName,
  parseOrigins,
  parsePath,
  parsePrefix,
  parseSwitch,
  routerModes,
  type SettingsOf,
} from "@dyn/runtime/internal";

export interface FrontendOptions extends HttpLimits {
  readonly httpHost: string;
  readonly httpPort: number;
  readonly operatorHost: string;
  readonly operatorPort: number;
  readonly tlsCertPath: string;
  readonly tlsKeyPath: string;
  readonly apiKeysFile: string;
  readonly allowedHosts: readonly string[];
  readonly corsOrigins: readonly string[];
  readonly bodyLimitMb: number;
  readonly answerLimitMb: number;
  readonly maxMessages: number;
  readonly maxCompletions: number;
  readonly maxConcurrentRequests: number;
  readonly overloadStatus: number;
  readonly namespace: string;
  readonly routerMode: RouterMode;
  readonly metricsPrefix: string;
  readonly metricsModelGraceSecs: number;
  readonly strictRequestId: boolean;
  readonly baggageKeys: readonly string[];
  readonly requestTimeoutMs: number;
  readonly firstTokenTimeoutMs: number;
  readonly tokenTimeoutMs: number;
  readonly sseKeepAliveMs: number;
  readonly requestHistory: number;
  readonly drainDelayMs: number;
  readonly shutdownTimeoutSecs: number;
}

/** One entry per option; flag over variable over default. */
export const frontendSettings: SettingsOf<FrontendOptions> = {
  httpHost: {
    env: "DYN_HTTP_HOST",
    flag: "http-host",
    default: "127.0.0.1",
    parse: parseHost,
    help: "address to listen on; of a name that has several, the first",
  },
  httpPort: numberSetting(
    "DYN_HTTP_PORT",
    "http-port",
    8000,
    [0, 65_535],
    "port to listen on; 0 lets the system choose, the log says which",
  ),
  operatorHost: {
    env: "DYN_OPERATOR_HOST",
    flag: "operator-host",
    default: "127.0.0.1",
    parse: parseHost,
    help: "address of the operators' port",
  },
  operatorPort: numberSetting(
    "DYN_OPERATOR_PORT",
    "operator-port",
    -1,
    [-1, 65_535],
    "port of their own for /metrics, /v1/requests and the details of /health, which are then nowhere else; 0 lets the system choose, the log says which; -1 = none",
  ),
  tlsCertPath: {
    env: "DYN_TLS_CERT_PATH",
    flag: "tls-cert-path",
    default: "",
    parse: parsePath,
    help: "certificate (chain) for HTTPS, a PEM file, read again when it changes; empty means plain HTTP",
  },
  tlsKeyPath: {
    env: "DYN_TLS_KEY_PATH",
    flag: "tls-key-path",
    default: "",
    parse: parsePath,
    help: "key of that certificate, a PEM file",
  },
  apiKeysFile: {
    env: "DYN_API_KEYS_FILE",
    flag: "api-keys-file",
    default: "",
    parse: parsePath,
    help: "hashes of the API keys that are accepted, one a line as dyn-frontend hash-key writes them, read again when it changes; empty means that no key is asked for",
  },
  allowedHosts: {
    env: "DYN_HTTP_ALLOWED_HOSTS",
    flag: "http-allowed-hosts",
    default: [],
    parse: parseHosts,
    help: "names by which the frontend may be asked beside localhost and addresses, separated by commas, * for all; others are a 421; without any, names are looked at on loopback without API keys only",
  },
  corsOrigins: {
    env: "DYN_HTTP_CORS_ORIGINS",
    flag: "http-cors-origins",
    default: [],
    parse: parseOrigins,
    help: "origins of web pages that may ask from a browser, such as https://chat.example, separated by commas; * means all, none by default",
  },
  bodyLimitMb: numberSetting(
    "DYN_HTTP_BODY_LIMIT_MB",
    "http-body-limit-mb",
    32,
    [1, 1024],
    "largest request body, MiB",
  ),
  // With an echo as large beside it, the largest answer is a string that V8 can hold: 512 MiB.
  answerLimitMb: numberSetting(
    "DYN_HTTP_ANSWER_LIMIT_MB",
    "http-answer-limit-mb",
    16,
    [1, 128],
    "most that is held of one answer until it ends, all its choices together, MiB of JSON; and of prompts that echo repeats before them",
  ),
  maxHeaderBytes: numberSetting(
    "DYN_HTTP_MAX_HEADER_BYTES",
    "http-max-header-bytes",
    16_384,
    [1_024, 1_048_576],
    "largest path and headers of a request in all, bytes",
  ),
  maxHeaders: numberSetting(
    "DYN_HTTP_MAX_HEADERS",
    "http-max-headers",
    100,
    [1, 10_000],
    "most headers of a request; more are a 431",
  ),
  headerTimeoutMs: numberSetting(
    "DYN_HTTP_HEADER_TIMEOUT_MS",
    "http-header-timeout-ms",
    20_000,
    [10, maxTimerMs],
    "how long the headers of a request may take to arrive, from the connection on, ms; the TLS handshake has as long",
  ),
  receiveTimeoutMs: numberSetting(
    "DYN_HTTP_RECEIVE_TIMEOUT_MS",
    "http-receive-timeout-ms",
    120_000,
    [10, maxTimerMs],
    "how long a request may take to arrive, body included, ms",
  ),
  keepAliveTimeoutMs: numberSetting(
    "DYN_HTTP_KEEP_ALIVE_TIMEOUT_MS",
    "http-keep-alive-timeout-ms",
    72_000,
    [10, maxTimerMs],
    "how long a connection may wait for its next request, ms; it is closed a second later",
  ),
  sendTimeoutMs: numberSetting(
    "DYN_HTTP_SEND_TIMEOUT_MS",
    "http-send-timeout-ms",
    300_000,
    [10, maxTimerMs],
    "how long a client may take nothing of an answer that waits for it, ms; it is then cut off, after at most twice as long",
  ),
  maxConnections: numberSetting(
    "DYN_HTTP_MAX_CONNECTIONS",
    "http-max-connections",
    20_000,
    [1, 1_000_000],
    "connections of clients open at a time that have asked for something; one more closes the one that has been idle for longest",
  ),
  maxMessages: numberSetting(
    "DYN_HTTP_MAX_MESSAGES",
    "http-max-messages",
    100_000,
    [1, 1_000_000],
    "most messages of a request",
  ),
  maxCompletions: numberSetting(
    "DYN_HTTP_MAX_COMPLETIONS",
    "http-max-completions",
    maxChoices,
    [1, maxChoices],
    "most completions of a request: its prompts times n",
  ),
  maxConcurrentRequests: numberSetting(
    "DYN_HTTP_MAX_CONCURRENT_REQUESTS",
    "max-concurrent-requests",
    10_000,
    [1, 1_000_000],
    "inference requests under way at a time; further ones are refused before their bodies are read",
  ),
  overloadStatus: {
    env: "DYN_HTTP_OVERLOAD_STATUS_CODE",
    flag: "http-overload-status-code",
    default: 529,
    parse: (text) => Number(oneOf("529", "503", "429")(text)),
    help: "HTTP status of a request refused for overload: 529, 503 or 429",
  },
  namespace: {
    env: "DYN_NAMESPACE",
    flag: "namespace",
    default: "",
    parse: optional(parseName),
    help: "serve only models of this namespace; empty means all",
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
  metricsModelGraceSecs: numberSetting(
    "DYN_METRICS_MODEL_GRACE_SECS",
    "metrics-model-grace-secs",
    300,
    [0, 86_400],
    "how long the series of a model stay in the metrics after its last worker has left, s",
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
  requestHistory: numberSetting(
    "DYN_REQUEST_HISTORY",
    "request-history",
    1_000,
    [0, 100_000],
    "finished requests that GET /v1/requests/{id} can still show; 0 turns it off",
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
  shutdownTimeoutSecs: numberSetting(
    "DYN_HTTP_GRACEFUL_SHUTDOWN_TIMEOUT_SECS",
    "http-graceful-shutdown-timeout-secs",
    30,
    [0, 86_400],
    "how long running requests may take after SIGTERM, s",
  ),
};

function parseBaggageKeys(text: string): readonly string[] {
  const keys = text.split(",").flatMap((key) => key.trim() || []);
  if (!keys.every((key) => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}$/.test(key)))
    throw new Error("expected keys of baggage members, separated by commas");
  return keys;
}
