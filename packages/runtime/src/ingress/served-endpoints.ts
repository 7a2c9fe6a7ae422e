/** The endpoints that this process serves, and the requests that run at each, whichever connection they came over. */
import type { EndpointAddress } from "../discovery/records.ts";
import { RuntimeError } from "../errors.ts";
import type { Handler } from "../handler.ts";
import { createWaiters } from "../lifetime.ts";
import type { Logger } from "../logging/logger.ts";
import type { EndpointMetrics } from "../metrics/endpoint-metrics.ts";
import type { EncodeItem } from "../wire/items.ts";
import type { Admission } from "./admission.ts";
import type { ServerStream } from "./server-stream.ts";

/** An endpoint as connections know it; the types of its requests and items are its owner's affair. */
export interface ServedEndpoint {
  /** `namespace/component/endpoint`: how a REQUEST names it. */
  readonly path: string;
  readonly address: EndpointAddress;
  /** Decimal u64. */
  readonly instanceId: string;
  readonly handler: Handler<unknown, unknown>;
  readonly encodeItem: EncodeItem<unknown>;
  /** Tokens in one item. */
  readonly countTokens: (item: unknown) => number;
  readonly log: Logger;
  readonly metrics: EndpointMetrics;
  readonly admission: Admission;
  /** A request may run twice without harm. */
  readonly isIdempotent: boolean;
}

/** One served endpoint with what runs there. */
export interface EndpointEntry {
  readonly endpoint: ServedEndpoint;
  /** A request begins. Whoever calls it calls `end` once. */
  begin(stream: ServerStream): void;
  end(stream: ServerStream): void;
}

/** What the owner of an endpoint holds. */
export interface EndpointRegistration {
  /** New requests do not find it any more; those that run go on. */
  remove(): void;
  /** Requests that run, or wait for their turn. */
  running(): number;
  /** Those of them that wait for their first place. */
  waiting(): number;
  /** Resolves once there are none. */
  idle(): Promise<void>;
  /** Abort all of them. */
  kill(cause: RuntimeError): void;
}

/** A registry apart from connections, so that another plane may serve the same endpoints. */
export interface ServedEndpoints {
  /** @throws RuntimeError `invalid_argument` if the path is served already. */
  add(endpoint: ServedEndpoint): EndpointRegistration;
  find(path: string): EndpointEntry | undefined;
}

/** Create an empty registry. */
export function createServedEndpoints(): ServedEndpoints {
  const entries = new Map<string, EndpointEntry>();
  return {
    add(endpoint) {
      const { path } = endpoint;
      if (entries.has(path))
        throw new RuntimeError(
          "invalid_argument",
          `${path} is served by this runtime already; a second handler or model needs an endpoint of its own, for instance serveModel(runtime, { model, endpoint: "dyn://dynamo.second.generate" }, engine)`,
        );
      const streams = new Set<ServerStream>();
      const waiters = createWaiters();
      entries.set(path, {
        endpoint,
        begin: (stream) => void streams.add(stream),
        end(stream) {
          streams.delete(stream);
          waiters.wake();
        },
      });
      return {
        remove: () => void entries.delete(path),
        running: () => streams.size,
        waiting: () => endpoint.admission.waiting,
        idle: () => waiters.until(() => streams.size === 0),
        kill(cause) {
          for (const stream of streams) stream.abort(cause);
        },
      };
    },
    find: (path) => entries.get(path),
  };
}
