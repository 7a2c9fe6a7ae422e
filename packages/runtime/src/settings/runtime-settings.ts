/** The settings of a runtime. Every variable is listed once: the docs and `--help` come from this list. */
import { resolve } from "node:path";
import { defaultFileKv, maxTimerMs } from "./environment.ts";
import { parseHosts } from "../http/hosts.ts";
import { logSettings } from "./log-settings.ts";
import type { RuntimeConfig } from "./runtime-config.ts";
import {
  inUnits,
  mebibyte,
  numberSetting,
  oneOf,
  optional,
  parseHost,
  parsePath,
  parsePrefix,
  parseSwitch,
  type Setting,
  type SettingsOf,
  type VariablesOf,
} from "./setting.ts";

const maxRequests = 1_000_000;

function hostSetting(env: string, flag: string, help: string): Setting<string> {
  return { env, flag, default: "127.0.0.1", parse: parseHost, help };
}

function switchSetting(env: string, flag: string, help: string): Setting<boolean> {
  return { env, flag, default: false, parse: parseSwitch, help };
}

function pathSetting(env: string, flag: string, help: string): Setting<string> {
  return { env, flag, default: "", parse: parsePath, help };
}

// Log lines say which it is: two processes with different working directories must not look as if they shared one.
function parseDirectory(text: string): string {
  const path = parsePath(text);
  if (path === "") throw new Error("expected the path of a directory");
  return resolve(path);
}

// Everybody on the machine can read command lines.
type WithoutFlag = "planeToken";

type Serving =
  | "tcpHost"
  | "tcpPort"
  | "tcpAdvertiseHost"
  | "tcpMaxConnections"
  | "engineRequestLimit"
  | "requestQueueLimit"
  | "systemHost"
  | "systemPort"
  | "systemAllowedHosts"
  | "systemTimeoutMs"
  | "componentMetricsPrefix";

/** Settings of every process of a deployment. */
export const sharedSettings: SettingsOf<Omit<RuntimeConfig, WithoutFlag | Serving>> &
  VariablesOf<Pick<RuntimeConfig, WithoutFlag>> = {
  discoveryBackend: {
    env: "DYN_DISCOVERY_BACKEND",
    flag: "discovery-backend",
    default: "file",
    parse: oneOf("file", "mem"),
    help: "where instances find each other: file (a directory) or mem (inside one process)",
  },
  fileKv: {
    env: "DYN_FILE_KV",
    flag: "file-kv",
    default: defaultFileKv(),
    parse: parseDirectory,
    help: "directory of the file discovery; others must not be able to write in it",
  },
  fileKvShared: switchSetting(
    "DYN_FILE_KV_SHARED",
    "file-kv-shared",
    "use that directory even if others own it or may write in it, as on a mount of several machines",
  ),
  tcpTlsCert: pathSetting(
    "DYN_TCP_TLS_CERT",
    "tcp-tls-cert",
    "certificate of this process on the request plane, a PEM file; with it the listener speaks TLS",
  ),
  tcpTlsKey: pathSetting("DYN_TCP_TLS_KEY", "tcp-tls-key", "key of that certificate, a PEM file"),
  tcpTlsCa: pathSetting(
    "DYN_TCP_TLS_CA",
    "tcp-tls-ca",
    "authorities of peers on the request plane, a PEM file; with it nothing is dialled without TLS, and a listener with TLS asks for a certificate",
  ),
  tcpTlsRequired: switchSetting(
    "DYN_TCP_TLS_REQUIRED",
    "tcp-tls-required",
    "dial nothing on the request plane without TLS, whatever its record says, and serve nothing without a certificate",
  ),
  tcpTlsServerName: {
    env: "DYN_TCP_TLS_SERVER_NAME",
    flag: "tcp-tls-server-name",
    default: "",
    parse: optional(parseHost),
    help: "name that listeners' certificates must have; if empty, the host that is dialled",
  },
  planeTokenFile: pathSetting(
    "DYN_PLANE_TOKEN_FILE",
    "plane-token-file",
    "file with the token that both ends of the request plane must know",
  ),
  planeToken: {
    env: "DYN_PLANE_TOKEN",
    default: "",
    parse: (text) => text, // one token a line: blanks around them do not count
    isSecret: true,
    help: "that token itself; a file is safer, and can be changed while the process runs",
  },
  tcpMaxMessageSize: numberSetting(
    "DYN_TCP_MAX_MESSAGE_SIZE",
    "tcp-max-message-size",
    32 * 1024 * 1024,
    [4096, 1024 * 1024 * 1024],
    "largest frame accepted from a peer, bytes",
  ),
  tcpMaxStreams: numberSetting(
    "DYN_TCP_MAX_STREAMS",
    "tcp-max-streams",
    16_384,
    [1, maxRequests],
    "requests open at a time on a connection of a peer; further ones are refused",
  ),
  tcpConnectTimeoutMs: numberSetting(
    "DYN_TCP_CONNECT_TIMEOUT_MS",
    "tcp-connect-timeout-ms",
    3_000,
    [1, maxTimerMs],
    "limit for dialling a worker and for its HELLO, ms",
  ),
  tcpPingIntervalMs: numberSetting(
    "DYN_TCP_PING_INTERVAL_MS",
    "tcp-ping-interval-ms",
    2_000,
    [10, maxTimerMs],
    "how often a silent peer is pinged, ms; one that is silent for three to four of these is dead",
  ),
  drainTimeoutMs: numberSetting(
    "DYN_DRAIN_TIMEOUT_MS",
    "drain-timeout-ms",
    30_000,
    [0, maxTimerMs],
    "how long a drain waits for running requests before it ends them, ms",
  ),
  operatorKeysFile: pathSetting(
    "DYN_OPERATOR_KEYS_FILE",
    "operator-keys-file",
    "hashes of operators' keys, one a line as dyn-frontend hash-key writes them, read again when it changes; with it /metrics, requests of others and the details of /health need one",
  ),
  memoryLimitBytes: inUnits(
    mebibyte,
    numberSetting(
      "DYN_MEMORY_LIMIT_MB",
      "memory-limit-mb",
      0,
      [0, 1_048_576],
      "most that requests may take of the memory of this process, all together, MiB; further ones are refused; 0 = a third of what V8 may use for its heap",
    ),
  ),
  ...logSettings,
  otelExportEnabled: switchSetting(
    "OTEL_EXPORT_ENABLED",
    "otel-export-enabled",
    "export spans by OTLP, as the OTEL_ variables say",
  ),
};

/** Settings of those that serve endpoints. */
export const servingSettings: SettingsOf<Pick<RuntimeConfig, Serving>> = {
  tcpHost: hostSetting("DYN_TCP_RPC_HOST", "tcp-host", "address the request plane listens on"),
  tcpPort: numberSetting(
    "DYN_TCP_RPC_PORT",
    "tcp-port",
    0,
    [0, 65_535],
    "port of the request plane; 0 lets the system choose",
  ),
  tcpAdvertiseHost: {
    env: "DYN_TCP_ADVERTISE_HOST",
    flag: "tcp-advertise-host",
    default: "",
    parse: optional(parseHost),
    help: "host that others are told to dial; if empty, the address that is listened on, or for 0.0.0.0 and :: the machine's first outside address",
  },
  tcpMaxConnections: numberSetting(
    "DYN_TCP_MAX_CONNECTIONS",
    "tcp-max-connections",
    4_096,
    [1, maxRequests],
    "connections of peers open at a time, not counting those that have not said HELLO and proven themselves; further ones are refused",
  ),
  engineRequestLimit: numberSetting(
    "DYN_ENGINE_REQUEST_LIMIT",
    "engine-request-limit",
    0,
    [0, maxRequests],
    "requests a served endpoint runs at a time, of a model completions; 0 = no limit",
  ),
  requestQueueLimit: numberSetting(
    "DYN_DYNAMO_REQUEST_QUEUE_LIMIT",
    "request-queue-limit",
    1_024,
    [0, maxRequests],
    "requests that may wait at a served endpoint whose requests are limited; further ones are refused",
  ),
  systemHost: hostSetting("DYN_SYSTEM_HOST", "system-host", "address of the system server"),
  systemPort: numberSetting(
    "DYN_SYSTEM_PORT",
    "system-port",
    -1,
    [-1, 65_535],
    "port of the system server with /live, /health and /metrics; 0 lets the system choose, the log says which; -1 turns it off",
  ),
  systemAllowedHosts: {
    env: "DYN_SYSTEM_ALLOWED_HOSTS",
    flag: "system-allowed-hosts",
    default: [],
    parse: parseHosts,
    help: "names by which the system server may be asked beside localhost and addresses, separated by commas, * for all; others are a 421; without any, names are checked on loopback only",
  },
  systemTimeoutMs: numberSetting(
    "DYN_SYSTEM_TIMEOUT_MS",
    "system-timeout-ms",
    10_000,
    [10, maxTimerMs],
    "how long a client of the system server may take to send its request, to read the answer, or to send another, ms",
  ),
  componentMetricsPrefix: {
    env: "DYN_COMPONENT_METRICS_PREFIX",
    flag: "component-metrics-prefix",
    default: "dynamo_component",
    parse: parsePrefix,
    help: "first part of the names of metrics of served endpoints",
  },
};

/** Those of a process that may do both. */
export const runtimeSettings: SettingsOf<Omit<RuntimeConfig, WithoutFlag>> &
  VariablesOf<Pick<RuntimeConfig, WithoutFlag>> = {
  ...sharedSettings,
  ...servingSettings,
};
