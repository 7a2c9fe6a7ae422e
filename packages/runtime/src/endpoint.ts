/** What users hold: an endpoint that serves, and a client that calls it. */
import { openLiveSet, type Instance, type LiveSet } from "./discovery/live-set.ts";
import type { Discovery } from "./discovery/discovery.ts";
import type { EndpointAddress } from "./discovery/records.ts";
import type { Pick } from "./egress/pick.ts";
import type { Route, Router } from "./egress/router.ts";
import type { Handler } from "./engine.ts";
import { createRequestId, isSaneClientId, isUuid } from "./ids.ts";
import type { Logger } from "./logging/logger.ts";
import { RuntimeError } from "./errors.ts";
import type { Identity } from "./trace/identity.ts";
import { acceptTrace } from "./trace/traceparent.ts";
import type { EncodeItem } from "./wire/items.ts";
import type { Trailer } from "./wire/messages.ts";
import { encodePayload } from "./wire/payload.ts";

export interface ServeOptions<Item> {
  /** How items become bytes; default msgpack. */
  readonly encodeItem?: EncodeItem<Item>;
}

/** A served endpoint. Disposing it unadvertises, finishes what is running, then resolves. */
export interface Serving extends AsyncDisposable {
  /** Decimal u64. */
  readonly instanceId: string;
  /** `host:port` of the request plane. */
  readonly address: string;
  /** Resolves after a drain, whoever began it. */
  readonly closed: Promise<void>;
}

export interface Endpoint {
  /** Resolves once the endpoint is registered and takes requests. @throws RuntimeError `invalid_argument` if this runtime serves it already. */
  serve<Request, Item>(handler: Handler<Request, Item, Logger>, options?: ServeOptions<Item>): Promise<Serving>;
}

export interface GenerateOptions {
  /** Cancels the request; the worker's signal aborts too. */
  readonly signal?: AbortSignal;
  /** Ours: a UUID. Default: a new one. */
  readonly requestId?: string;
  /** The client's own id, visible ASCII, at most 256 characters. */
  readonly xRequestId?: string;
  /** W3C headers of the caller's span. */
  readonly traceparent?: string;
  readonly tracestate?: string;
  /** Everything above at once, as a frontend has it. */
  readonly identity?: Identity;
  /** Time the answer may take in all, ms. Travels to the worker. */
  readonly timeoutMs?: number;
}

/** An answer. Iterate it for items, or `batches()` for the arrays they arrived in. */
export interface Answer<Item> extends AsyncIterable<Item> {
  readonly requestId: string;
  batches(): AsyncGenerator<Item[], void, void>;
  /** Decimal u64 of the instance of the last attempt; undefined before the first. */
  readonly workerId: string | undefined;
  readonly attempts: number;
  /** What the worker reported at the end; empty before. */
  readonly trailer: Partial<Trailer>;
}

export interface Client<Request, Item> extends Disposable {
  readonly instances: readonly Instance[];
  /** Resolves once `count` instances (default 1) can be reached. Rejects with the signal's reason. */
  waitForInstances(options?: { count?: number; signal?: AbortSignal }): Promise<readonly Instance[]>;
  /** Nothing is sent before the answer is read. Leaving the loop cancels the request. */
  generate(request: Request, options?: GenerateOptions): Answer<Item>;
}

export interface ClientParts {
  readonly address: EndpointAddress;
  readonly discovery: Discovery;
  readonly route: (pick: Pick) => Router;
  readonly pick: Pick;
  readonly log: Logger;
  readonly now: () => number;
  /** Leaves out instances, for instance those that serve another model at the same endpoint. */
  readonly accepts?: (instanceId: string) => boolean;
}

function toIdentity(options: GenerateOptions): Identity {
  if (options.identity) return options.identity;
  const { requestId = createRequestId(), xRequestId, traceparent, tracestate } = options;
  if (!isUuid(requestId)) throw new RuntimeError("invalid_argument", `requestId must be a UUID, got ${requestId.length} characters`);
  if (xRequestId !== undefined && !isSaneClientId(xRequestId)) {
    throw new RuntimeError("invalid_argument", "xRequestId must be 1 to 256 characters of visible ASCII");
  }
  return { requestId, ...(xRequestId !== undefined && { xRequestId }), trace: acceptTrace(traceparent, tracestate) };
}

/** Create a client from the runtime's parts. */
export function createClient<Request, Item>(parts: ClientParts): Client<Request, Item> {
  const live: LiveSet = openLiveSet(parts.discovery, parts.address, parts.log);
  const { namespace, component, endpoint } = parts.address;
  const path = `${namespace}/${component}/${endpoint}`;
  const router = parts.route(parts.pick);
  const { accepts } = parts;
  const candidates = (): readonly Instance[] => (accepts ? live.instances.filter(({ id }) => accepts(id)) : live.instances);
  return {
    get instances() {
      return candidates();
    },
    waitForInstances: ({ count = 1, signal } = {}) => live.waitFor(count, signal),
    generate(request, options = {}) {
      const identity = toIdentity(options);
      const { timeoutMs } = options;
      const route: Route = {
        identity,
        path,
        payload: encodePayload(request),
        signal: withTimeout(options.signal, timeoutMs),
        deadlineAt: timeoutMs === undefined ? undefined : parts.now() + timeoutMs,
        candidates,
        report: { attempts: 0, trailer: {} },
      };
      return toAnswer<Item>(route, router);
    },
    [Symbol.dispose]: () => live[Symbol.dispose](),
  };
}

function withTimeout(signal: AbortSignal | undefined, timeoutMs: number | undefined): AbortSignal | undefined {
  if (timeoutMs === undefined) return signal;
  const timeout = AbortSignal.timeout(timeoutMs);
  return signal ? AbortSignal.any([signal, timeout]) : timeout;
}

function toAnswer<Item>(route: Route, router: Router): Answer<Item> {
  const batches = (): AsyncGenerator<Item[], void, void> => router(route) as AsyncGenerator<Item[], void, void>; // Item is the caller's claim about the endpoint
  return {
    requestId: route.identity.requestId,
    batches,
    async *[Symbol.asyncIterator]() {
      for await (const batch of batches()) yield* batch;
    },
    get workerId() {
      return route.report.workerId;
    },
    get attempts() {
      return route.report.attempts;
    },
    get trailer() {
      return route.report.trailer;
    },
  };
}
