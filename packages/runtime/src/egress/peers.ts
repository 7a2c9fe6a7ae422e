/** One connection per worker, dialled when first needed and shared by all requests. */
import { formatHostPort } from "../address.ts";
import { RuntimeError } from "../errors.ts";
import type { Instance } from "../discovery/live-set.ts";
import type { Presence, Whereabouts } from "../discovery/presence.ts";
import type { Logger } from "../logging/logger.ts";
import type { RuntimeMetrics } from "../metrics.ts";
import type { PlaneSecurity } from "../net/security.ts";
import type { Hello } from "../wire/hello.ts";
import { PlaneClient } from "./plane-client.ts";

export interface PeersOptions {
  readonly hello: Hello;
  readonly connectTimeoutMs: number;
  readonly pingIntervalMs: number;
  readonly security: PlaneSecurity;
  readonly metrics: RuntimeMetrics;
  readonly log: Logger;
  /** A connection has ended that nobody wanted to end. */
  readonly onLost: (instanceId: string) => void;
}

export interface Peers extends AsyncDisposable, Presence {
  /** A usable connection to `instance`, at once if there is one. @throws RuntimeError `cannot_connect`, or `unavailable` while it drains. */
  get(instance: Instance): PlaneClient | Promise<PlaneClient>;
}

/** Instances that have said GOAWAY and are remembered once their connection is over. */
const maxLeft = 1_024;

type Peer = { type: "dialling"; client: Promise<PlaneClient> } | { type: "open"; client: PlaneClient };

/** Create an empty set of connections. */
export function createPeers(options: PeersOptions): Peers {
  const departures = createDepartures();
  const pool = createPool(options, departures);

  function whereabouts({ id, path }: Instance): Whereabouts {
    if (departures.has(id)) return "left"; // an id is one life of a process
    const client = pool.find(id);
    if (!client?.isUsable) return "unknown";
    return client.hasWithdrawn(path) ? "left" : "here";
  }

  return {
    get: pool.get,
    whereabouts,
    async probe(instance) {
      try {
        await pool.get(instance);
      } catch {
        // whether it could be dialled is in what follows, and why not in the log of those who need it
      }
      return whereabouts(instance);
    },
    onChange: departures.onChange,
    [Symbol.asyncDispose]: async () => pool.close(),
  };
}

interface Pool {
  readonly get: Peers["get"];
  /** The connection to an instance, if it is open. */
  find(id: string): PlaneClient | undefined;
  close(): void;
}

function createPool(options: PeersOptions, departures: Departures): Pool {
  const peers = new Map<string, Peer>();
  let closed = false;
  const parts: DialParts = {
    ...options,
    isClosed: () => closed,
    onGone(id, client) {
      const peer = peers.get(id);
      if (peer?.type === "open" && peer.client === client) peers.delete(id);
      if (client) departures.notify(id);
    },
    onLeave(id, isGoingAway) {
      if (isGoingAway) departures.add(id);
      departures.notify(id);
    },
  };

  async function settle(id: string, dialling: Promise<PlaneClient>): Promise<PlaneClient> {
    try {
      const client = await dialling;
      peers.set(id, { type: "open", client });
      return client;
    } catch (error) {
      peers.delete(id);
      throw error;
    }
  }

  function start(instance: Instance): Promise<PlaneClient> {
    const client = settle(instance.id, dialInstance(instance, parts));
    peers.set(instance.id, { type: "dialling", client });
    return client;
  }

  return {
    get(instance) {
      const peer = peers.get(instance.id);
      if (closed) throw new RuntimeError("unavailable", "this runtime is closed");
      if (!peer) return start(instance);
      if (peer.type === "dialling" || peer.client.isUsable) return peer.client;
      if (peer.client.isGoingAway) throw new RuntimeError("unavailable", `instance ${instance.id} is draining`);
      return start(instance);
    },
    find(id) {
      const peer = peers.get(id);
      return peer?.type === "open" ? peer.client : undefined;
    },
    close() {
      closed = true;
      for (const peer of peers.values()) if (peer.type === "open") peer.client.close();
      peers.clear();
    },
  };
}

interface Departures {
  has(id: string): boolean;
  add(id: string): void;
  notify(id: string): void;
  onChange: Presence["onChange"];
}

// Who has said GOAWAY, and who wants to hear of those that come and go.
function createDepartures(): Departures {
  const left = new Set<string>();
  const listeners = new Map<string, Set<() => void>>();
  return {
    has: (id) => left.has(id),
    add(id) {
      left.add(id);
      const [oldest] = left;
      if (left.size > maxLeft && oldest !== undefined) left.delete(oldest);
    },
    notify(id) {
      for (const listener of listeners.get(id) ?? []) listener();
    },
    onChange(id, listener) {
      const its = listeners.get(id) ?? new Set();
      listeners.set(id, its.add(listener));
      return {
        [Symbol.dispose]() {
          if (its.delete(listener) && its.size === 0) listeners.delete(id);
        },
      };
    },
  };
}

interface DialParts extends PeersOptions {
  readonly isClosed: () => boolean;
  readonly onGone: (id: string, client: PlaneClient | undefined) => void;
  readonly onLeave: (id: string, isGoingAway: boolean) => void;
}

async function dialInstance({ id, host, port, isTls = false }: Instance, parts: DialParts): Promise<PlaneClient> {
  const { hello, connectTimeoutMs, pingIntervalMs, security, metrics, log } = parts;
  const address = formatHostPort(host, port);
  const state: { opened?: PlaneClient; isOver: boolean } = { isOver: false };
  const client = await PlaneClient.dial({
    host,
    port,
    hello,
    connectTimeoutMs,
    pingIntervalMs,
    onLeave: (isGoingAway) => parts.onLeave(id, isGoingAway),
    isTls,
    security,
    onClose(cause) {
      state.isOver = true;
      parts.onGone(id, state.opened);
      if (state.opened) metrics.connections.dec();
      if (cause && state.opened) {
        parts.onLost(id);
        log.warn({ instance_id: id, address, error: cause.message }, "connection to instance lost");
      } else log.debug({ instance_id: id, address }, "connection to instance closed");
    },
  });
  if (state.isOver) throw new RuntimeError("disconnected", `${address} closed the connection after its HELLO`);
  state.opened = client;
  metrics.connections.inc();
  // A port can be taken over by another process: the id in HELLO decides who answered.
  const answered = (await client.ready).instance_id;
  if (parts.isClosed() || answered !== id) {
    client.close();
    throw new RuntimeError("cannot_connect", `${address} is instance ${answered ?? "unknown"}, expected ${id}`);
  }
  log.debug({ instance_id: id, address }, "connection to instance opened");
  return client;
}
