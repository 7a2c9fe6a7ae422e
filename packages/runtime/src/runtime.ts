/** The composition root: builds every part of one runtime, owns them, and ends them in order. */
import type { Logger as Pino } from "pino";
import {
  createClient,
  type Client,
  type ClientOptions,
  type ClientParts,
  type ContractClientOptions,
} from "./client.ts";
import type { Condition } from "./condition.ts";
import type { Discovery } from "./discovery/discovery.ts";
import { createHealth } from "./egress/health.ts";
import type { Peers } from "./egress/peers.ts";
import { createEndpoint, type ContractEndpoint, type Endpoint, type EndpointParts, type Serving } from "./endpoint.ts";
import type { EndpointContract } from "./endpoint-contract.ts";
import { RuntimeError } from "./errors.ts";
import type { PlaneServer } from "./ingress/plane-server.ts";
import { createRequestLimit, type LimitOptions, type RequestLimit } from "./ingress/request-limit.ts";
import { assertInterceptors, type Interceptor } from "./interceptors.ts";
import { createEndReport } from "./end-report.ts";
import { once, watchSignals, type ShutdownSignal } from "./lifetime.ts";
import type { Logger } from "./logging/logger.ts";
import type { MemoryBudget } from "./memory-budget.ts";
import type { RuntimeMetrics } from "./metrics/runtime-metrics.ts";
import type { Listener } from "./net/listener.ts";
import { listenForPeers, openPeers, openServer } from "./plane.ts";
import { openServices, type ServiceOptions, type Services } from "./services.ts";
import { readStatus, type ClientStatus, type EndpointStatus, type RuntimeStatus } from "./runtime-status.ts";
import { assertSignals } from "./settings/options.ts";
import type { RuntimeConfig } from "./settings/runtime-config.ts";
import { createHealthChecks, type HealthChecks, type OwnedHealthChecks } from "./system/checks.ts";
import type { Membership, System } from "./system/system.ts";
import type { InputOf, OutputOf, StandardSchema } from "./standard-schema.ts";
import type { Tracer } from "./trace/spans.ts";

export interface RuntimeOptions extends ServiceOptions {
  /** Signals that begin a drain; a second one ends the process at once. Default: none is touched. */
  readonly shutdownSignals?: readonly ShutdownSignal[];
  /** What every request that is served or sent goes through, models' too: around those of its endpoint or client, the first outermost. Default: nothing. */
  readonly interceptors?: readonly Interceptor[];
}

/** One member of a deployment. */
export interface Runtime extends AsyncDisposable {
  readonly config: RuntimeConfig;
  readonly log: Pino;
  readonly metrics: RuntimeMetrics;
  /** What requests may take of the memory of this process. */
  readonly memory: MemoryBudget;
  /** The system server of this process. */
  readonly system: System;
  /** Makes the spans that are exported; off unless `otelExportEnabled`. */
  readonly tracer: Tracer;
  readonly discovery: Discovery;
  /** Health checks of yours: while one of them fails, `/health` says that this process is not ready. */
  readonly health: HealthChecks;
  /** Decimal u64, one per runtime. */
  readonly instanceId: string;
  /** Aborts when a drain begins. */
  readonly draining: AbortSignal;
  /** The endpoint `dyn://namespace.component.endpoint`. @throws RuntimeError `invalid_argument` on a malformed address. */
  endpoint(uri: string): Endpoint;
  /** The endpoint of a contract. */
  endpoint<Request extends StandardSchema, Item extends StandardSchema>(
    contract: EndpointContract<Request, Item>,
  ): ContractEndpoint<Request, Item>;
  /** A client of that endpoint, open until the runtime closes. @throws RuntimeError `invalid_argument` on a malformed address or another policy, `unavailable` once the runtime closes. */
  client<Request, Item>(uri: string, options?: ClientOptions<Request>): Client<Request, Item>;
  /** A client of the endpoint of a contract. */
  client<Request extends StandardSchema, Item extends StandardSchema>(
    contract: EndpointContract<Request, Item>,
    options?: ContractClientOptions<InputOf<Request>>,
  ): Client<InputOf<Request>, OutputOf<Item>>;
  /** Places and a queue for several endpoints of this process: `serve(handler, { limit })`, `serveModel(runtime, { limit, … }, engine)`. @throws RuntimeError `invalid_argument` on a bad option. */
  limit(options?: LimitOptions): RequestLimit;
  /** How all of it is at this moment. */
  status(): RuntimeStatus;
  /** Take no more requests, finish what runs, close all connections and write out the log; `await using` does the same. Idempotent: it is always the same promise. */
  close(): Promise<void>;
  /** For fault injection only: end as if the process had been killed. All connections are cut at once, without a word, and `signal`s abort; then it closes. */
  kill(): Promise<void>;
}

/** Create a runtime: no port but that of the system server is opened before something is served, no worker is dialled before something is asked.
 *  @throws RuntimeError `invalid_argument` on a bad setting or option, `unavailable` if the discovery directory or the system port cannot be used. */
export async function createRuntime({
  shutdownSignals = [],
  interceptors = [],
  ...options
}: RuntimeOptions = {}): Promise<Runtime> {
  assertSignals(shutdownSignals);
  assertInterceptors(interceptors);
  const { promise: asked, resolve: ask } = Promise.withResolvers<ShutdownSignal>();
  // From here on: a signal that nobody watches for is lost to the first process of a container.
  const signals = watchSignals(shutdownSignals, ask);
  try {
    const runtime = new OwningRuntime(await openServices(options), signals, interceptors);
    void asked.then((signal) => runtime.shutDown(signal));
    return runtime;
  } catch (error) {
    signals[Symbol.dispose]();
    throw error;
  }
}

const now = (): number => performance.now();

class OwningRuntime implements Runtime {
  readonly config: RuntimeConfig;
  readonly log: Pino;
  readonly metrics: RuntimeMetrics;
  readonly memory: MemoryBudget;
  readonly system: System;
  readonly tracer: Tracer;
  readonly discovery: Discovery;
  readonly health: OwnedHealthChecks;
  readonly instanceId: string;
  #startedAt = now();
  #services: Services;
  #signals: Disposable;
  #interceptors: readonly Interceptor[];
  #membership: Membership;
  /** What is shown of it in the metrics. */
  #shown: readonly Disposable[];
  #health = createHealth({ now });
  #peers: Peers;
  #server: PlaneServer;
  #listening: Promise<Listener> | undefined;
  #clients = new Map<Disposable, () => ClientStatus>();
  #servings = new Map<Serving, () => EndpointStatus>();
  #ended = createEndReport(now);
  #drain = new AbortController();
  #close = once(() => this.#end());

  constructor(services: Services, signals: Disposable, interceptors: readonly Interceptor[]) {
    const { id, config, log, metrics, memory, system, tracer, discovery } = services;
    this.config = config;
    this.log = log.pino;
    this.metrics = metrics;
    this.memory = memory;
    this.system = system;
    this.tracer = tracer;
    this.discovery = discovery;
    this.instanceId = id.toString();
    this.#services = services;
    this.#signals = signals;
    this.#interceptors = interceptors;
    const condition = (): Condition => discovery.condition;
    this.health = createHealthChecks({
      log: this.#ownLog,
      wallClock: Date.now,
      onChange: () => this.#membership.checked(),
    });
    this.#membership = system.join(() => ({ condition: discovery.condition, checks: this.health.states }));
    this.#shown = [
      this.health,
      metrics.started(this.instanceId),
      metrics.watchDiscovery(condition),
      metrics.watchChecks(() => this.health.states),
    ];
    this.#peers = openPeers(services, this.#health);
    this.#server = openServer(services);
  }

  shutDown(signal: ShutdownSignal): void {
    const fields = { signal, drain_timeout_ms: this.config.drainTimeoutMs };
    this.#ownLog.info(fields, "shutdown requested, draining; a second signal ends at once");
    this.close().catch((error: unknown) => this.#ownLog.error({ error }, "shutdown failed"));
  }

  get draining(): AbortSignal {
    return this.#drain.signal;
  }

  endpoint(uri: string): Endpoint;
  endpoint<Request extends StandardSchema, Item extends StandardSchema>(
    contract: EndpointContract<Request, Item>,
  ): ContractEndpoint<Request, Item>;
  endpoint(target: string | EndpointContract): Endpoint {
    const parts: EndpointParts = {
      ...this.#services,
      server: this.#server,
      membership: this.#membership,
      ended: this.#ended,
      servings: this.#servings,
      interceptors: this.#interceptors,
      draining: this.#drain.signal,
      listen: () => this.#listen(),
      assertOpen: () => this.#assertOpen(),
      step: (failure, step) => this.#step(failure, step),
    };
    return createEndpoint(parts, target);
  }

  client<Request, Item>(uri: string, options?: ClientOptions<Request>): Client<Request, Item>;
  client<Request extends StandardSchema, Item extends StandardSchema>(
    contract: EndpointContract<Request, Item>,
    options?: ContractClientOptions<InputOf<Request>>,
  ): Client<InputOf<Request>, OutputOf<Item>>;
  client(target: string | EndpointContract, options: ContractClientOptions = {}): Client<unknown, unknown> {
    this.#assertOpen();
    const parts: ClientParts = {
      ...this.#services,
      peers: this.#peers,
      health: this.#health,
      clients: this.#clients,
      interceptors: this.#interceptors,
      now,
    };
    return createClient(parts, target, options);
  }

  limit(options: LimitOptions = {}): RequestLimit {
    return createRequestLimit(options, this.config);
  }

  status(): RuntimeStatus {
    return readStatus({
      runtime: this,
      uptimeMs: Math.round(now() - this.#startedAt),
      stage: this.#membership.stage,
      servings: this.#servings.values(),
      clients: this.#clients.values(),
      connections: { callers: this.#server.size, instances: this.#peers.size },
    });
  }

  close(): Promise<void> {
    return this.#close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  kill(): Promise<void> {
    void this.#server.close(); // before anything is said on its connections
    return this.close();
  }

  get #ownLog(): Logger {
    return this.#services.log.child({ target: "dyn_runtime" });
  }

  #assertOpen(): void {
    if (this.#drain.signal.aborted) throw new RuntimeError("unavailable", "this runtime is closing");
  }

  // Opened for the first endpoint. After a failure the next endpoint tries again.
  #listen(): Promise<Listener> {
    this.#listening ??= listenForPeers(this.#services, this.#server).catch((error: unknown) => {
      this.#listening = undefined;
      throw error;
    });
    return this.#listening;
  }

  async #end(): Promise<void> {
    const begunAt = now();
    this.#drain.abort();
    this.#membership.drain();
    this.#server.goAway("draining");
    for (const client of this.#clients.keys()) client[Symbol.dispose]();
    const drains = [...this.#servings.keys()].map((serving) =>
      this.#step("endpoint could not be drained", () => serving.close()),
    );
    await Promise.all(drains);
    await this.#step("connections to instances could not be closed", () => this.#peers[Symbol.asyncDispose]());
    await this.#step("discovery could not be closed", () => this.#services.discovery[Symbol.asyncDispose]());
    for (const shown of this.#shown) shown[Symbol.dispose]();
    await this.#server.close();
    const listener = await this.#listening?.catch(() => undefined); // whoever serves was told
    await listener?.[Symbol.asyncDispose]();
    await this.#step("the system server could not be left", () => this.#membership.leave());
    this.#signals[Symbol.dispose]();
    const report = this.#ended.facts(begunAt);
    if (report) this.#ownLog.info({ instance_id: this.instanceId, ...report }, "stopped");
    else this.#ownLog.debug({ instance_id: this.instanceId }, "runtime closed");
    await this.#services.close();
  }

  // One step of an end: the others are taken whatever becomes of it.
  async #step(failure: string, step: () => PromiseLike<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.#ownLog.warn({ error }, failure);
    }
  }
}
