/** The composition root: builds every part of one runtime, owns them, and ends them in order. */
import { completeSettings, runtimeSettings, type Environment, type RuntimeConfig } from "./config.ts";
import type { Discovery } from "./discovery/discovery.ts";
import { openFileDiscovery } from "./discovery/file.ts";
import { createMemoryDiscovery, createMemorySpace, type MemorySpace } from "./discovery/memory.ts";
import { openLiveSet } from "./discovery/live-set.ts";
import { formatPath, parseAddress, type EndpointAddress, type EndpointRecord } from "./discovery/records.ts";
import { createPeers } from "./egress/peers.ts";
import { createHealth } from "./egress/health.ts";
import { createPick, type RouterMode } from "./egress/pick.ts";
import { createRetryBudget } from "./egress/retry.ts";
import { RoutedAnswer, type RouterOptions } from "./egress/router.ts";
import { createClient, type Client, type Endpoint, type Serving, type ServeOptions } from "./endpoint.ts";
import type { Handler } from "./engine.ts";
import { RuntimeError } from "./errors.ts";
import { createInstanceId, formatInstanceKey } from "./ids.ts";
import { createPushServer, type PushServer } from "./ingress/push-endpoint.ts";
import { watchSignals, within } from "./lifetime.ts";
import { parseLogFilter } from "./logging/filter.ts";
import { createLogger, type Logger } from "./logging/logger.ts";
import { openLogWriter, type LogWriter } from "./logging/writer.ts";
import { createRuntimeMetrics, type RuntimeMetrics } from "./metrics.ts";
import { toAdvertisedHost } from "./net/advertise.ts";
import { listen, type Listener } from "./net/listener.ts";
import { encodeValueItem, type EncodeItem } from "./wire/items.ts";
import type { Hello } from "./wire/messages.ts";

const agent = "dyn/0.1.0";
const maxStreams = 16_384;
const maxConnections = 4_096;
/** How long a slow reader of the log may hold the end of the process. */
const logFlushMs = 5_000;

export interface RuntimeOptions {
  /** Signals that begin a drain; a second one ends the process at once. Default: none is touched. */
  readonly shutdownSignals?: readonly NodeJS.Signals[];
  /** Settings that win over the environment. */
  readonly config?: Partial<RuntimeConfig>;
  /** Default: the process's environment. */
  readonly environment?: Environment;
  /** Default: a logger on stderr, as `DYN_LOG` and `DYN_LOGGING_JSONL` say. */
  readonly log?: Logger;
  /** With `discoveryBackend: "mem"`: the space to share with other runtimes of this process. Default: a space of its own. */
  readonly memorySpace?: MemorySpace;
  /** Default: a new one. Shared by several runtimes of a process that exposes one /metrics. */
  readonly metrics?: RuntimeMetrics;
}

export interface ClientOptions {
  /** Leaves out instances, for instance those that serve another model at the same endpoint. */
  readonly accepts?: (instanceId: string) => boolean;
  /** How instances are chosen. Default `round-robin`. */
  readonly routerMode?: RouterMode;
}

/** One member of a deployment. Disposing it drains what it serves and closes what it opened. */
export interface Runtime extends AsyncDisposable {
  readonly config: RuntimeConfig;
  readonly log: Logger;
  readonly metrics: RuntimeMetrics;
  readonly discovery: Discovery;
  /** Decimal u64, one per runtime. */
  readonly instanceId: string;
  /** Aborts when a drain begins. */
  readonly draining: AbortSignal;
  /** The endpoint `dyn://namespace.component.endpoint`. @throws RuntimeError `invalid_argument` on a malformed address. */
  endpoint(uri: string): Endpoint;
  /** A client of that endpoint. Disposed with the runtime. */
  client<Request, Item>(uri: string, options?: ClientOptions): Client<Request, Item>;
}

/** Create a runtime: no port is opened before something is served, no worker is dialled before something is asked.
 *  @throws RuntimeError `invalid_argument` on a bad setting, `unavailable` if the discovery directory cannot be used. */
export async function createRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  const config = completeSettings(runtimeSettings, options.config ?? {}, options.environment);
  const writer = options.log ? undefined : openLogWriter({ jsonl: config.logJsonl });
  const log = options.log ?? createLogger({ sink: writer?.write ?? (() => undefined), filter: parseLogFilter(config.log) });
  const endLog = async (): Promise<void> => writer && closeLog(writer);
  try {
    const discovery = await openDiscovery(config, log, options);
    const runtime = new RuntimeParts(config, log, discovery, options, endLog);
    runtime.start(options.shutdownSignals ?? []);
    return runtime;
  } catch (error) {
    await endLog();
    throw error;
  }
}

class RuntimeParts implements Runtime {
  readonly config: RuntimeConfig;
  readonly log: Logger;
  readonly metrics: RuntimeMetrics;
  readonly discovery: Discovery;
  readonly instanceId: string;
  #id = createInstanceId();
  #drain = new AbortController();
  #clients = new Set<Disposable>();
  #servings = new Set<Serving>();
  #peers: ReturnType<typeof createPeers>;
  #server: PushServer;
  #listener: Promise<Listener> | undefined;
  #signals: Disposable | undefined;
  #closing: Promise<void> | undefined;
  #flushLog: () => Promise<void>;
  #now = (): number => performance.now();
  #health = createHealth({ now: this.#now });

  constructor(config: RuntimeConfig, log: Logger, discovery: Discovery, options: RuntimeOptions, flushLog: () => Promise<void>) {
    this.config = config;
    this.log = log;
    this.#flushLog = flushLog;
    this.instanceId = this.#id.toString();
    this.metrics = options.metrics ?? createRuntimeMetrics();
    this.discovery = discovery;
    const { connectTimeoutMs, pingIntervalMs } = config;
    const hello: Hello = { version: 1, agent, capabilities: [], max_frame_bytes: config.maxFrameBytes, max_streams: maxStreams };
    const egressLog = log.child({ target: "dyn_runtime::egress" });
    this.#peers = createPeers({ hello, connectTimeoutMs, pingIntervalMs, metrics: this.metrics, log: egressLog });
    this.#server = createPushServer({
      hello: { ...hello, instance_id: this.instanceId },
      helloTimeoutMs: connectTimeoutMs,
      pingIntervalMs,
      log: log.child({ target: "dyn_runtime::ingress" }),
      now: this.#now,
    });
  }

  start(signals: readonly NodeJS.Signals[]): void {
    if (signals.length === 0) return;
    const log = this.log.child({ target: "dyn_runtime" });
    this.#signals = watchSignals(signals, (signal) => {
      log.info({ signal, drain_timeout_ms: this.config.drainTimeoutMs }, "shutdown requested, draining; a second signal ends at once");
      this.#close().catch((error: unknown) => log.error({ error }, "shutdown failed"));
    });
  }

  get draining(): AbortSignal {
    return this.#drain.signal;
  }

  endpoint(uri: string): Endpoint {
    const address = parseAddress(uri);
    return { serve: (handler, options) => this.#serve(address, handler, options) };
  }

  client<Request, Item>(uri: string, { accepts, routerMode: mode = "round-robin" }: ClientOptions = {}): Client<Request, Item> {
    const { metrics } = this;
    const log = this.log.child({ target: "request_span" });
    const routing: RouterOptions = {
      peers: this.#peers,
      mode,
      pick: createPick(mode, Math.random),
      health: this.#health,
      budget: createRetryBudget(),
      metrics,
      log,
      now: this.#now,
      random: Math.random,
    };
    const address = parseAddress(uri);
    const watchLog = this.log.child({ target: "dyn_runtime::discovery" });
    const client = createClient<Request, Item>({
      live: openLiveSet({ discovery: this.discovery, address, log: watchLog, ...(accepts && { accepts }) }),
      path: formatPath(address),
      send: (route) => new RoutedAnswer(routing, route),
      now: this.#now,
      onDispose: () => this.#clients.delete(client),
    });
    this.#clients.add(client);
    return client;
  }

  async #serve<Request, Item>(address: EndpointAddress, handler: Handler<Request, Item, Logger>, options: ServeOptions<Item> = {}): Promise<Serving> {
    if (this.#closing) throw new RuntimeError("unavailable", "this runtime is closing");
    this.#listener ??= this.#listen();
    const { host: bound, port } = await this.#listener;
    const host = this.config.tcpAdvertiseHost === "" ? toAdvertisedHost(bound) : this.config.tcpAdvertiseHost;
    const path = formatPath(address);
    const served = this.#server.add({
      path,
      address,
      instanceId: this.instanceId,
      handler: handler as Handler<unknown, unknown, Logger>, // Request and Item are the caller's claims about this endpoint
      encodeItem: (options.encodeItem ?? encodeValueItem) as EncodeItem<unknown>,
      countTokens: (options.countTokens ?? (() => 1)) as (item: unknown) => number,
      log: this.log,
    });
    const shown = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    const record: EndpointRecord = {
      type: "Endpoint",
      component: address.component,
      endpoint: address.endpoint,
      namespace: address.namespace,
      instance_id: this.#id,
      transport: { tcp: `${shown}/${formatInstanceKey(this.#id)}/${path}` },
      request_plane_codec: "msgpack",
      dyn_plane: 1,
    };
    const registration = await this.discovery.publish(record);
    this.log.child({ target: "dyn_runtime" }).info({ endpoint: path, address: shown, instance_id: this.instanceId }, "endpoint is serving");
    const serving = createServing(this.instanceId, shown, async () => {
      await registration[Symbol.asyncDispose]();
      served.remove();
      if (await within(served.idle(), this.config.drainTimeoutMs)) return;
      this.log
        .child({ target: "dyn_runtime" })
        .warn({ endpoint: path, drain_timeout_ms: this.config.drainTimeoutMs }, "drain timed out, running requests are killed");
      served.kill(new RuntimeError("unavailable", "the worker is shutting down"));
      await within(served.idle(), 1_000);
    });
    this.#servings.add(serving);
    return serving;
  }

  #listen(): Promise<Listener> {
    const { tcpHost: host, tcpPort: port, connectTimeoutMs: prefaceTimeoutMs } = this.config;
    const log = this.log.child({ target: "dyn_runtime::net" });
    return listen({ host, port, prefaceTimeoutMs, maxConnections, log, onConnection: (socket, head) => this.#server.accept(socket, head) });
  }

  #close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    this.#drain.abort();
    this.#server.goAway("draining");
    for (const client of this.#clients) client[Symbol.dispose]();
    await Promise.all([...this.#servings].map((serving) => serving[Symbol.asyncDispose]()));
    await this.#peers[Symbol.asyncDispose]();
    await this.discovery[Symbol.asyncDispose]();
    this.#server.close();
    const listener = await this.#listener?.catch(() => undefined); // whoever called serve() was told
    await listener?.[Symbol.asyncDispose]();
    this.#signals?.[Symbol.dispose]();
    this.log.child({ target: "dyn_runtime" }).debug({ instance_id: this.instanceId }, "runtime closed");
    await this.#flushLog();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}

async function closeLog(writer: LogWriter): Promise<void> {
  await writer.flush(logFlushMs);
  writer[Symbol.dispose]();
}

function createServing(instanceId: string, address: string, drain: () => Promise<void>): Serving {
  const { promise: closed, resolve, reject } = Promise.withResolvers<void>();
  let draining = false;
  closed.catch(() => undefined); // also thrown at whoever disposes
  return {
    instanceId,
    address,
    closed,
    [Symbol.asyncDispose]() {
      if (!draining) {
        draining = true;
        drain().then(resolve, reject);
      }
      return closed;
    },
  };
}

async function openDiscovery(config: RuntimeConfig, log: Logger, { memorySpace }: RuntimeOptions): Promise<Discovery> {
  switch (config.discoveryBackend) {
    case "file":
      return openFileDiscovery({ root: config.fileKv, log: log.child({ target: "dyn_runtime::discovery" }) });
    case "mem":
      return createMemoryDiscovery(memorySpace ?? createMemorySpace());
  }
}
