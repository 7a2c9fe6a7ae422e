/** What can be set of a frontend: times in ms, sizes in bytes. The settings beside it read the same from flags and variables. */
import type { RouterMode } from "@dyn/runtime";
import type { HttpLimits } from "@dyn/runtime/internal";

/** Of its ports, and of what it takes there. */
export interface HttpOptions extends HttpLimits {
  /** Address to listen on; of a name that has several, the first. Default `127.0.0.1`. */
  readonly httpHost: string;
  /** Port to listen on; 0 lets the system choose, `url` says which. Default `8000`. */
  readonly httpPort: number;
  /** Address of the operators' port. Default `127.0.0.1`. */
  readonly operatorHost: string;
  /** Port of their own for /metrics, /v1/requests and the details of /health, which are then nowhere else; 0 lets the system choose. Default `-1`: there is none. */
  readonly operatorPort: number;
  /** Path of the certificate chain (PEM) for HTTPS, read again when it changes. Default: none, plain HTTP. */
  readonly tlsCertPath: string;
  /** Path of the key (PEM) of that certificate. Default: none. */
  readonly tlsKeyPath: string;
  /** Path of the file with the hashes of the API keys that are accepted, read again when it changes. Default: none, and no key is asked for. */
  readonly apiKeysFile: string;
  /** Names by which the frontend may be asked beside localhost and addresses, `*` for all. Default `[]`: names are checked on loopback without API keys only. */
  readonly httpAllowedHosts: readonly string[];
  /** Origins of web pages that may ask from a browser, such as `https://chat.example`; `*` means all. Default `[]`. */
  readonly httpCorsOrigins: readonly string[];
  /** Largest request body, bytes. Default `33554432` (32 MiB). */
  readonly httpBodyLimitBytes: number;
  /** Most that is held of one answer until it ends, all its choices together, bytes of JSON; and of prompts that echo repeats before them. Default `16777216` (16 MiB). */
  readonly httpAnswerLimitBytes: number;
  /** Most messages of a request. Default `100000`. */
  readonly httpMaxMessages: number;
  /** Most completions of a request: its prompts times n. Default `1024`. */
  readonly httpMaxCompletions: number;
  /** What becomes of fields of a request that its API does not know: `pass` hands them to the engine, `refuse` answers 400. Default `pass`. */
  readonly httpUnknownFields: "pass" | "refuse";
  /** Inference requests under way at a time; further ones are refused before their bodies are read. Default `10000`. */
  readonly maxConcurrentRequests: number;
  /** HTTP status of a request refused for overload: 529, 503 or 429. Default `529`. */
  readonly httpOverloadStatusCode: number;
}

export interface FrontendOptions extends HttpOptions {
  /** Serve only models of this namespace. Default: of all. */
  readonly namespace: string;
  /** Endpoints of one's own that are served over HTTP, each as `/v1/greet=dyn://demo.greeter.generate`. Default `[]`. */
  readonly expose: readonly string[];
  /** How workers are chosen. Default `round-robin`. */
  readonly routerMode: RouterMode;
  /** First part of metric names. Default `dynamo_frontend`. */
  readonly metricsPrefix: string;
  /** How long the series of a model stay in the metrics after its last worker has left, ms. Default `300000`. */
  readonly metricsModelGraceMs: number;
  /** Answer 400 to a request-id header that is not a UUID, or is that of a running request, instead of replacing it. Default `false`. */
  readonly strictRequestId: boolean;
  /** Keys of W3C baggage that travel on to workers. Default `[]`. */
  readonly baggageKeys: readonly string[];
  /** Names of headers that travel on to workers; none that holds a credential. Default `[]`. */
  readonly forwardHeaders: readonly string[];
  /** Names of headers of answers that engines may set, such as `x-ratelimit-*` for all that begin so; none that the frontend says itself. Default `[]`. */
  readonly responseHeaders: readonly string[];
  /** How long a whole answer may take, ms; a client may ask for less with the header x-request-timeout-ms; 0 = no limit. Default `600000`. */
  readonly requestTimeoutMs: number;
  /** How long the first token may take, ms; 0 = no limit. Default `120000`. */
  readonly firstTokenTimeoutMs: number;
  /** How long each further token may take, ms; 0 = no limit. Default `60000`. */
  readonly tokenTimeoutMs: number;
  /** After how much silence a stream is sent something that clients skip, so that proxies keep it open, ms; 0 turns that off. Default `10000`. */
  readonly sseKeepAliveMs: number;
  /** Finished requests that GET /v1/requests/{id} can still show; 0 turns it off. Default `1000`. */
  readonly requestHistory: number;
  /** Responses that are kept for `previous_response_id` and GET /v1/responses/{id}, of all callers; the longest unused give way; 0 keeps none. Default `1000`. */
  readonly keptResponses: number;
  /** Most that kept responses and their conversations take, bytes. Default `67108864` (64 MiB). */
  readonly keptResponsesLimitBytes: number;
  /** How long requests are still taken once a drain has begun, while /health says draining, for balancers that have not heard of it, ms. Default `0`. */
  readonly drainDelayMs: number;
  /** How long running requests may take once a drain has begun, ms. Default `30000`. */
  readonly httpGracefulShutdownTimeoutMs: number;
}
