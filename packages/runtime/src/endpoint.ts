/** Serving an endpoint: it is registered once it takes requests, and withdrawn before it takes no more. */
import type { Discovery } from "./discovery/discovery.ts";
import { takeLabels } from "./discovery/labels.ts";
import { formatAddress, formatPath, toEndpointRecord, type EndpointAddress } from "./discovery/records.ts";
import { serveContract, toTarget, type EndpointContract } from "./endpoint-contract.ts";
import type { Handler } from "./handler.ts";
import { assertInterceptors, serveIntercepted, type Interceptor } from "./interceptors.ts";
import type { InputOf, OutputOf, StandardSchema } from "./standard-schema.ts";
import { createAdmission, createRoom, type Room } from "./ingress/admission.ts";
import { drainEndpoint } from "./ingress/drain.ts";
import type { PlaneRegistration, PlaneServer } from "./ingress/plane-server.ts";
import { roomOf, type RequestLimit } from "./ingress/request-limit.ts";
import type { EndReport } from "./end-report.ts";
import { RuntimeError } from "./errors.ts";
import { once } from "./lifetime.ts";
import type { Logger } from "./logging/logger.ts";
import type { EndpointMetrics } from "./metrics/endpoint-metrics.ts";
import type { RuntimeMetrics } from "./metrics/runtime-metrics.ts";
import { toAdvertisedAddress } from "./net/advertise.ts";
import type { Listener } from "./net/listener.ts";
import type { PlaneSecurity } from "./security/plane-security.ts";
import type { EndpointStatus } from "./runtime-status.ts";
import { assertFunction, assertSwitch, assertWhole, refuseOthers, type OptionNames } from "./settings/options.ts";
import type { RuntimeConfig } from "./settings/runtime-config.ts";
import type { Membership } from "./system/system.ts";
import { version } from "./version.ts";
import { encodeValueItem, type EncodeItem } from "./wire/items.ts";

export interface ServeOptions<Item> {
  /** How items become bytes. Default: msgpack. */
  readonly encodeItem?: EncodeItem<Item>;
  /** Tokens in one item, for the worker's timings and counts. Default 1. */
  readonly countTokens?: (item: Item) => number;
  /** Name of the model it serves: a label of its metrics. Default: none. */
  readonly model?: string;
  /** Requests the engine can run at a time; the lower of this and `--engine-request-limit` holds. Default 0: no limit of its own. */
  readonly requestLimit?: number;
  /** Places and a queue that it shares with other endpoints, made by `runtime.limit()`; in place of `requestLimit`. Default: those are its own. */
  readonly limit?: RequestLimit;
  /** A request may run twice without harm: when an instance fails that had begun with it, another is tried. Default false: then only if its handler was never called. */
  readonly idempotent?: boolean;
  /** What each request and its items go through, the first outermost; those of the runtime are around them. Default: nothing. */
  readonly interceptors?: readonly Interceptor[];
  /** What callers may choose this instance by, at most 16: names of 1 to 63 of a-z, 0-9, _ . and -, values of 1 to 128 characters of visible ASCII. Default: none. */
  readonly labels?: Readonly<Record<string, string>>;
}

const serveOptions: Required<OptionNames<ServeOptions<unknown>>> = {
  encodeItem: true,
  countTokens: true,
  model: true,
  requestLimit: true,
  limit: true,
  idempotent: true,
  interceptors: true,
  labels: true,
};

/** A served endpoint. */
export interface Serving extends AsyncDisposable {
  /** Decimal u64. */
  readonly instanceId: string;
  /** `host:port` of the request plane. */
  readonly address: string;
  /** Resolves after a drain, whoever began it. */
  readonly closed: Promise<void>;
  /** Withdraw the endpoint, finish what runs, then resolve; `await using` does the same. Idempotent: the promise is that of `closed`. */
  close(): Promise<void>;
}

/** An address at which this process may serve. */
export interface Endpoint {
  /** Resolves once the endpoint is registered and takes requests. @throws RuntimeError `invalid_argument` if this runtime serves it already. */
  serve<Request, Item>(handler: Handler<Request, Item>, options?: ServeOptions<Item>): Promise<Serving>;
}

/** An endpoint of a contract. Requests are held to it before the handler is called, and its items before they are sent. */
export interface ContractEndpoint<Request extends StandardSchema, Item extends StandardSchema> {
  /** As of an `Endpoint`. */
  serve(handler: Handler<OutputOf<Request>, InputOf<Item>>, options?: ServeOptions<OutputOf<Item>>): Promise<Serving>;
}

/** What all endpoints of a runtime use. */
export interface EndpointParts {
  readonly id: bigint;
  readonly config: RuntimeConfig;
  readonly log: Logger;
  readonly metrics: RuntimeMetrics;
  readonly discovery: Discovery;
  readonly security: PlaneSecurity;
  readonly server: PlaneServer;
  readonly membership: Membership;
  /** Of all its endpoints and clients. */
  readonly interceptors: readonly Interceptor[];
  /** What became of requests that ran when an endpoint was closed. */
  readonly ended: EndReport;
  /** Those that are open; the runtime closes them. */
  readonly servings: Map<Serving, () => EndpointStatus>;
  /** Aborts when the runtime begins to close. */
  readonly draining: AbortSignal;
  /** The listener of this runtime, opened for the first endpoint. */
  listen(): Promise<Listener>;
  /** @throws RuntimeError `unavailable` once the runtime closes. */
  assertOpen(): void;
  /** One step of an end: the others are taken whatever becomes of it. */
  step(failure: string, step: () => PromiseLike<void>): Promise<void>;
}

/** The endpoint `target`. @throws RuntimeError `invalid_argument` on a malformed address. */
export function createEndpoint(parts: EndpointParts, target: string | EndpointContract): Endpoint {
  const { address, contract } = toTarget(target);
  if (!contract) return { serve: (handler, options = {}) => serve(parts, address, handler, options) };
  return {
    serve: async (handler, options = {}) =>
      serve(
        parts,
        address,
        serveContract(contract, handler as Handler<unknown, unknown>),
        options as ServeOptions<unknown>,
      ),
  };
}

async function serve<Request, Item>(
  parts: EndpointParts,
  address: EndpointAddress,
  handler: Handler<Request, Item>,
  { labels: given = {}, ...options }: ServeOptions<Item>,
): Promise<Serving> {
  const { id, config, log, discovery, security, membership, servings, draining } = parts;
  parts.assertOpen();
  const labels = takeLabels(given);
  const shown = toAdvertisedAddress(await parts.listen(), config.tcpAdvertiseHost);
  parts.assertOpen(); // the listener may be closed by now
  const path = formatPath(address);
  const served = addEndpoint(parts, address, handler, options);
  const readiness = membership.expect(address.endpoint);
  const record = toEndpointRecord(address, id, {
    tcp: shown,
    isTls: security.listenerTls !== undefined,
    isIdempotent: options.idempotent ?? false,
    labels,
  });
  const registration = await discovery.publish(record).catch((error: unknown) => {
    readiness.gone();
    served.remove();
    throw error;
  });
  const serving = createServing(id.toString(), shown, async () => {
    readiness.draining();
    served.withdraw();
    await parts.step("endpoint record could not be withdrawn", () => registration[Symbol.asyncDispose]());
    served.remove();
    const report = parts.ended;
    const ownLog = log.child({ target: "dyn_runtime" });
    await drainEndpoint(served, { path, timeoutMs: config.drainTimeoutMs, log: ownLog, report });
    readiness.gone();
  });
  servings.set(serving, () => toEndpointStatus(address, served));
  const forget = (): void => void servings.delete(serving);
  void serving.closed.then(forget, forget);
  if (draining.aborted) await serving.close();
  parts.assertOpen();
  readiness.serving();
  logServing(parts, path, serving);
  return serving;
}

function toEndpointStatus(address: EndpointAddress, served: PlaneRegistration): EndpointStatus {
  const queued = served.waiting();
  return { endpoint: formatAddress(address), running: served.running() - queued, queued };
}

function addEndpoint<Request, Item>(
  { id, config, log, metrics: all, server, interceptors: around }: EndpointParts,
  address: EndpointAddress,
  handler: Handler<Request, Item>,
  {
    encodeItem,
    countTokens,
    model,
    requestLimit = 0,
    limit,
    idempotent = false,
    interceptors = [],
    ...others
  }: Omit<ServeOptions<Item>, "labels">,
): PlaneRegistration {
  refuseOthers(others, serveOptions);
  assertFunction("the handler", handler);
  assertWhole("requestLimit", requestLimit, 0);
  assertSwitch("idempotent", idempotent);
  assertInterceptors(interceptors);
  const room = toRoom(config, requestLimit, limit);
  const metrics: EndpointMetrics = all.endpoint({
    dynamo_namespace: address.namespace,
    dynamo_component: address.component,
    dynamo_endpoint: address.endpoint,
    worker_id: id.toString(),
    model,
  });
  return server.add({
    path: formatPath(address),
    address,
    instanceId: id.toString(),
    handler: serveIntercepted(
      [...around, ...interceptors],
      formatAddress(address),
      handler as Handler<unknown, unknown>,
    ), // Request and Item are the caller's claims about this endpoint
    encodeItem: (encodeItem ?? encodeValueItem) as EncodeItem<unknown>,
    countTokens: (countTokens ?? (() => 1)) as (item: unknown) => number,
    log,
    metrics,
    admission: createAdmission(room, metrics),
    isIdempotent: idempotent,
  });
}

function toRoom(config: RuntimeConfig, requestLimit: number, limit: RequestLimit | undefined): Room {
  if (limit === undefined) return createRoom([config.engineRequestLimit, requestLimit], config.requestQueueLimit);
  if (requestLimit === 0) return roomOf(limit);
  throw new RuntimeError(
    "invalid_argument",
    "requestLimit is for an endpoint with places of its own, leave it out with limit",
  );
}

// `drain` is called once, whoever asks.
function createServing(instanceId: string, address: string, drain: () => Promise<void>): Serving {
  const { promise: closed, resolve, reject } = Promise.withResolvers<void>();
  closed.catch(() => undefined); // also thrown at whoever closes
  const close = once(() => {
    drain().then(resolve, reject);
    return closed;
  });
  return { instanceId, address, closed, close, [Symbol.asyncDispose]: close };
}

function logServing({ config, log, discovery }: EndpointParts, endpoint: string, serving: Serving): void {
  const { address, instanceId: instance_id } = serving;
  const where = { discovery: discovery.kind, ...(discovery.kind === "file" && { file_kv: config.fileKv }) };
  log
    .child({ target: "dyn_runtime" })
    .info({ endpoint, address, instance_id, ...where, version }, "endpoint is serving");
}
