/** What can be set of a runtime: times in ms, sizes in bytes. The settings beside it read the same from flags and variables. */
import type { LogConfig } from "../logging/process-log.ts";

export interface RuntimeConfig extends LogConfig {
  /** Where instances find each other: `file`, a directory, or `mem`, one process. Default `file`. */
  readonly discoveryBackend: "file" | "mem";
  /** Directory of the file discovery; others must not be able to write in it. Default `$XDG_RUNTIME_DIR/dyn`, else `dyn-<uid>` in the system's temporary directory. */
  readonly fileKv: string;
  /** Use that directory even if others own it or may write in it, as on a mount of several machines. Default `false`. */
  readonly fileKvShared: boolean;
  /** Address the request plane listens on. Default `127.0.0.1`. */
  readonly tcpHost: string;
  /** Port of the request plane. Default `0`: the system chooses. */
  readonly tcpPort: number;
  /** Host that others are told to dial. Default: the address that is listened on, or for 0.0.0.0 and :: the machine's first outside address. */
  readonly tcpAdvertiseHost: string;
  /** Path of the certificate (PEM) of this process on the request plane; with it the listener speaks TLS. Default: none. */
  readonly tcpTlsCert: string;
  /** Path of the key (PEM) of that certificate. Default: none. */
  readonly tcpTlsKey: string;
  /** Path of the authorities (PEM) of peers; with it nothing is dialled without TLS, and a listener with TLS asks for a certificate. Default: none. */
  readonly tcpTlsCa: string;
  /** Dial nothing without TLS, whatever its record says, and serve nothing without a certificate. Default `false`. */
  readonly tcpTlsRequired: boolean;
  /** Name that listeners' certificates must have. Default: the host that is dialled. */
  readonly tcpTlsServerName: string;
  /** Path of the file with the token that both ends of the request plane must know. Default: none. */
  readonly planeTokenFile: string;
  /** That token itself; a file is safer, and can be changed while the process runs. Default: none. */
  readonly planeToken: string;
  /** Largest frame accepted from a peer, bytes. Default `33554432` (32 MiB). */
  readonly tcpMaxMessageSize: number;
  /** Requests open at a time on a connection of a peer; further ones are refused. Default `16384`. */
  readonly tcpMaxStreams: number;
  /** Connections of peers open at a time that have said HELLO and proven themselves; further ones are refused. Default `4096`. */
  readonly tcpMaxConnections: number;
  /** Limit for dialling a worker and for its HELLO, ms. Default `3000`. */
  readonly tcpConnectTimeoutMs: number;
  /** How often a silent peer is pinged, ms; one that is silent for three to four of these is dead. Default `2000`. */
  readonly tcpPingIntervalMs: number;
  /** How long a drain waits for running requests before it ends them, ms. Default `30000`. */
  readonly drainTimeoutMs: number;
  /** Path of the file with the hashes of operators' keys, read again when it changes. Default: none, and nobody is asked for one. */
  readonly operatorKeysFile: string;
  /** Most that requests may take of the memory of this process, all together, bytes; further ones are refused. Default `0`: a third of what V8 may use for its heap. */
  readonly memoryLimitBytes: number;
  /** Requests a served endpoint runs at a time, of a model completions. Default `0`: no limit. */
  readonly engineRequestLimit: number;
  /** Requests that may wait at a served endpoint whose requests are limited; further ones are refused. Default `1024`. */
  readonly requestQueueLimit: number;
  /** Address of the system server. Default `127.0.0.1`. */
  readonly systemHost: string;
  /** Port of the system server with /live, /health and /metrics; 0 lets the system choose. Default `-1`: there is none. */
  readonly systemPort: number;
  /** Names by which the system server may be asked beside localhost and addresses, `*` for all. Default `[]`. */
  readonly systemAllowedHosts: readonly string[];
  /** How long a client of the system server may take to send its request, to read the answer, or to send another, ms. Default `10000`. */
  readonly systemTimeoutMs: number;
  /** First part of the names of metrics of served endpoints. Default `dynamo_component`. */
  readonly componentMetricsPrefix: string;
  /** Export spans by OTLP, as the `OTEL_` variables of `environment` say. Default `false`. */
  readonly otelExportEnabled: boolean;
}
