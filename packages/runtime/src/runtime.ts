/** The composition root: builds every part of one runtime, owns them, and ends them in order. */
import type { RuntimeConfig } from "./settings/runtime-settings.ts";
import type { Condition } from "./condition.ts";
import type { Discovery } from "./discovery/discovery.ts";
import { openLiveSet } from "./discovery/live-set.ts";
import { formatPath, parseAddress, toEndpointRecord, type EndpointAddress } from "./discovery/records.ts";
import { createPeers } from "./egress/peers.ts";
import { createHealth } from "./egress/health.ts";
import { checkRouterMode, createPick, type RouterMode } from "./egress/pick.ts";
import { createRetryBudget } from "./egress/retry.ts";
import { RoutedAnswer, type RouterOptions } from "./egress/router.ts";
import {
  createClient,
  createServing,
  type Client,
  type Endpoint,
  type Serving,
  type ServeOptions,
} from "./endpoint.ts";
import type { Handler } from "./handler.ts";
import { RuntimeError } from "./errors.ts";
import { openFoundation, type Foundation, type FoundationOptions } from "./foundation.ts";
import { formatInstanceKey } from "./ids.ts";
import { createAdmission } from "./ingress/admission.ts";
import { drainEndpoint } from "./ingress/drain.ts";
import { createPlaneServer, type PlaneServer } from "./ingress/plane-server.ts";
import { createEndReport } from "./end-report.ts";
import { watchSignals, type ShutdownSignal } from "./lifetime.ts";
import type { Fields } from "./logging/format.ts";
import type { Logger } from "./logging/logger.ts";
import type { MemoryBudget } from "./memory-budget.ts";
import type { RuntimeMetrics } from "./metrics/runtime-metrics.ts";
import { toAdvertisedAddress } from "./net/advertise.ts";
import { createLazyListener, listen, type Listener, type ListenOptions } from "./net/listener.ts";
import { asksCallers, requireListenerTls, type PlaneSecurity } from "./security/plane-security.ts";
import type { Membership, System } from "./system/system.ts";
import type { Tracer } from "./trace/spans.ts";
import { version } from "./version.ts";
import { encodeValueItem, type EncodeItem } from "./wire/items.ts";
import type { Hello } from "./wire/hello.ts";

const agent = `dyn/${version}`;

export interface RuntimeOptions extends FoundationOptions {
  /** Signals that begin a drain; a second one ends the process at once. Default: none is touched. */
  readonly shutdownSignals?: readonly ShutdownSignal[];
}

export interface ClientOptions {
  /** Only instances that are admitted are asked, for instance those that serve one of several models at the same endpoint. Default: all are. */
  readonly admittedOnly?: boolean;
  /** How instances are chosen. Default `round-robin`. */
  readonly routerMode?: RouterMode;
  /** Called when an instance has left. Must not throw. */
  readonly onLeave?: (instanceId: string) => void;
  /** What lines about instances that join and leave say besides, for instance of which model they are counted. */
  readonly logFields?: Fields;
}

/** One member of a deployment. Disposing it drains what it serves and closes what it opened. */
export interface Runtime extends AsyncDisposable {
  readonly config: RuntimeConfig;
  readonly log: Logger;
  readonly metrics: RuntimeMetrics;
  /** What requests may take of the memory of this process. */
  readonly memory: MemoryBudget;
  /** The system server of this process. */
  readonly system: System;
  /** Makes the spans that are exported; off unless `otelExportEnabled`. */
  readonly tracer: Tracer;
  readonly discovery: Discovery;
  /** Decimal u64, one per runtime. */
  readonly instanceId: string;
  /** Aborts when a drain begins. */
  readonly draining: AbortSignal;
  /** The endpoint `dyn://namespace.component.endpoint`. @throws RuntimeError `invalid_argument` on a malformed address. */
  endpoint(uri: string): Endpoint;
  /** A client of that endpoint. Disposed with the runtime. @throws RuntimeError `invalid_argument` on a malformed address or another router mode, `unavailable` once the runtime closes. */
  client<Request, Item>(uri: string, options?: ClientOptions): Client<Request, Item>;
  /** For fault injection only: end as if the process had been killed. All connections are cut at once, without a word, and `signal`s abort; then it is disposed. */
  kill(): Promise<void>;
}

/** Create a runtime: no port but that of the system server is opened before something is served, no worker is dialled before something is asked.
 *  @throws RuntimeError `invalid_argument` on a bad setting, `unavailable` if the discovery directory or the system port cannot be used. */
export async function createRuntime({ shutdownSignals = [], ...options }: RuntimeOptions = {}): Promise<Runtime> {
  const { promise: asked, resolve: ask } = Promise.withResolvers<ShutdownSignal>();
  // From here on: a signal that nobody watches for is lost to the first process of a container.
  const signals = watchSignals(shutdownSignals, ask);
  try {
    const runtime = new RuntimeParts(await openFoundation(options), signals);
    void asked.then((signal) => runtime.shutDown(signal));
    return runtime;
  } catch (error) {
    signals[Symbol.dispose]();
    throw error;
  }
}

class RuntimeParts implements Runtime {
  readonly config: RuntimeConfig;
  readonly log: Logger;
  readonly metrics: RuntimeMetrics;
  readonly memory: MemoryBudget;
  readonly system: System;
  readonly tracer: Tracer;
  readonly discovery: Discovery;
  readonly instanceId: string;
  #membership: Membership;
  #counted: Disposable;
  #security: PlaneSecurity;
  #id: bigint;
  #drain = new AbortController();
  #clients = new Set<Disposable>();
  #servings = new Set<Serving>();
  #peers: ReturnType<typeof createPeers>;
  #server: PlaneServer;
  #listener = createLazyListener(() => this.#listen());
  #signals: Disposable;
  #ending = createEndReport(() => performance.now());
  #closing: Promise<void> | undefined;
  #closeLast: () => Promise<void>;
  #now = (): number => performance.now();
  #health = createHealth({ now: this.#now });

  constructor(
    { id, config, log, security, metrics, memory, system, tracer, discovery, close }: Foundation,
    signals: Disposable,
  ) {
    this.#signals = signals;
    this.#id = id;
    this.#security = security;
    this.config = config;
    this.log = log;
    this.tracer = tracer;
    this.#closeLast = close;
    this.instanceId = id.toString();
    this.metrics = metrics;
    this.memory = memory;
    this.metrics.started(formatInstanceKey(this.#id));
    this.system = system;
    this.discovery = discovery;
    const condition = (): Condition => discovery.condition;
    this.#membership = this.system.join(condition);
    this.#counted = metrics.watchDiscovery(condition);
    const { connectTimeoutMs, pingIntervalMs } = config;
    const hello: Hello = {
      version: 1,
      agent,
      capabilities: [],
      max_frame_bytes: config.maxFrameBytes,
      max_streams: config.tcpMaxStreams,
    };
    const egressLog = log.child({ target: "dyn_runtime::egress" });
    const onLost = (key: string): void => this.#health.lost(key);
    this.#peers = createPeers({
      hello,
      connectTimeoutMs,
      pingIntervalMs,
      security,
      memory,
      metrics,
      log: egressLog,
      onLost,
      now: this.#now,
    });
    this.#server = createPlaneServer({
      hello: { ...hello, instance_id: this.instanceId },
      helloTimeoutMs: connectTimeoutMs,
      pingIntervalMs,
      memory,
      guard: () =>
        security.tokens && { role: "listener", tokens: security.tokens.current, isAnnounced: discovery.isAnnounced },
      log: log.child({ target: "dyn_runtime::ingress" }),
      rejections: this.metrics.rejections,
      tracer: this.tracer,
      now: this.#now,
    });
  }

  shutDown(signal: ShutdownSignal): void {
    const log = this.log.child({ target: "dyn_runtime" });
    log.info(
      { signal, drain_timeout_ms: this.config.drainTimeoutMs },
      "shutdown requested, draining; a second signal ends at once",
    );
    this.#close().catch((error: unknown) => log.error({ error }, "shutdown failed"));
  }

  get draining(): AbortSignal {
    return this.#drain.signal;
  }

  endpoint(uri: string): Endpoint {
    const address = parseAddress(uri);
    return { serve: (handler, options) => this.#serve(address, handler, options) };
  }

  client<Request, Item>(
    uri: string,
    { routerMode: mode = "round-robin", logFields: fields, ...following }: ClientOptions = {},
  ): Client<Request, Item> {
    this.#assertOpen();
    const { metrics, tracer } = this;
    const log = this.log.child({ target: "request_span" });
    const parts = {
      peers: this.#peers,
      health: this.#health,
      metrics,
      log,
      tracer,
      now: this.#now,
      random: Math.random,
    };
    const routing: RouterOptions = {
      ...parts,
      mode,
      pick: createPick(checkRouterMode(mode), Math.random),
      budget: createRetryBudget(),
    };
    const address = parseAddress(uri);
    const watchLog = this.log.child({ target: "dyn_runtime::discovery", ...(fields && { fields }) });
    const client = createClient<Request, Item>({
      live: openLiveSet({ discovery: this.discovery, statuses: this.#peers, address, log: watchLog, ...following }),
      path: formatPath(address),
      send: (route, payload) => new RoutedAnswer(routing, route, payload),
      tracer,
      now: this.#now,
      onDispose: () => this.#clients.delete(client),
    });
    this.#clients.add(client);
    return client;
  }

  async #serve<Request, Item>(
    address: EndpointAddress,
    handler: Handler<Request, Item, Logger>,
    options: ServeOptions<Item> = {},
  ): Promise<Serving> {
    this.#assertOpen();
    const shown = toAdvertisedAddress(await this.#listener.open(), this.config.tcpAdvertiseHost);
    this.#assertOpen(); // the listener may be closed by now
    const path = formatPath(address);
    const workerId = formatInstanceKey(this.#id);
    const { namespace: dynamo_namespace, component: dynamo_component, endpoint: dynamo_endpoint } = address;
    const metrics = this.metrics.endpoint({
      dynamo_namespace,
      dynamo_component,
      dynamo_endpoint,
      worker_id: workerId,
      model: options.model,
    });
    const { engineRequestLimit, requestQueueLimit: queueLimit } = this.config;
    const served = this.#server.add({
      path,
      address,
      instanceId: this.instanceId,
      handler: handler as Handler<unknown, unknown, Logger>, // Request and Item are the caller's claims about this endpoint
      encodeItem: (options.encodeItem ?? encodeValueItem) as EncodeItem<unknown>,
      countTokens: (options.countTokens ?? (() => 1)) as (item: unknown) => number,
      log: this.log,
      metrics,
      admission: createAdmission({ limits: [engineRequestLimit, options.requestLimit ?? 0], queueLimit, metrics }),
    });
    const readiness = this.#membership.expect(address.endpoint);
    const record = toEndpointRecord(address, this.#id, { tcp: shown, isTls: this.#security.listenerTls !== undefined });
    const registration = await this.discovery.publish(record).catch((error: unknown) => {
      readiness.gone();
      served.remove();
      throw error;
    });
    const log = this.log.child({ target: "dyn_runtime" });
    const serving = createServing(this.instanceId, shown, async () => {
      readiness.draining();
      served.withdraw();
      await this.#step("endpoint record could not be withdrawn", () => registration[Symbol.asyncDispose]());
      served.remove();
      await drainEndpoint(served, { path, timeoutMs: this.config.drainTimeoutMs, log, report: this.#ending });
      readiness.gone();
    });
    this.#servings.add(serving);
    const forget = (): void => void this.#servings.delete(serving);
    void serving.closed.then(forget, forget);
    if (this.#drain.signal.aborted) await serving[Symbol.asyncDispose]();
    this.#assertOpen();
    readiness.serving();
    const where = {
      discovery: this.discovery.kind,
      ...(this.discovery.kind === "file" && { file_kv: this.config.fileKv }),
    };
    log.info({ endpoint: path, address: shown, instance_id: this.instanceId, ...where }, "endpoint is serving");
    return serving;
  }

  #assertOpen(): void {
    if (this.#drain.signal.aborted) throw new RuntimeError("unavailable", "this runtime is closing");
  }

  async #listen(): Promise<Listener> {
    const {
      tcpHost: host,
      tcpPort: port,
      connectTimeoutMs: prefaceTimeoutMs,
      tcpMaxConnections: maxConnections,
    } = this.config;
    const log = this.log.child({ target: "dyn_runtime::net" });
    const tls = requireListenerTls(this.#security);
    const onConnection: ListenOptions["onConnection"] = (socket, head, admit) =>
      this.#server.accept(socket, head, admit);
    return listen({
      host,
      port,
      prefaceTimeoutMs,
      maxConnections,
      log,
      tls,
      isOpen: !asksCallers(this.#security),
      onConnection,
    });
  }

  kill(): Promise<void> {
    this.#server.close(); // before anything is said on its connections
    return this.#close();
  }

  #close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    const begunAt = this.#now();
    this.#drain.abort();
    this.#membership.drain();
    this.#server.goAway("draining");
    for (const client of this.#clients) client[Symbol.dispose]();
    await Promise.all(
      [...this.#servings].map((serving) =>
        this.#step("endpoint could not be drained", () => serving[Symbol.asyncDispose]()),
      ),
    );
    await this.#step("connections to instances could not be closed", () => this.#peers[Symbol.asyncDispose]());
    await this.#step("discovery could not be closed", () => this.discovery[Symbol.asyncDispose]());
    this.#counted[Symbol.dispose]();
    this.#server.close();
    await this.#listener[Symbol.asyncDispose]();
    await this.#step("the system server could not be left", () => this.#membership.leave());
    this.#signals[Symbol.dispose]();
    const log = this.log.child({ target: "dyn_runtime" });
    const report = this.#ending.facts(begunAt);
    if (report) log.info({ instance_id: this.instanceId, ...report }, "stopped");
    else log.debug({ instance_id: this.instanceId }, "runtime closed");
    await this.#closeLast();
  }

  // One step of an end: the others are taken whatever becomes of it.
  async #step(failure: string, step: () => PromiseLike<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.log.child({ target: "dyn_runtime" }).warn({ error }, failure);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}
