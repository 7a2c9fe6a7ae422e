/** One connection per instance and address, dialled when first needed and shared by all requests. */
import { formatHostPort } from "../address.ts";
import { RuntimeError } from "../errors.ts";
import { recordKeyOf, type Instance } from "../discovery/instance.ts";
import type { InstanceStatuses, InstanceStatus } from "../discovery/instance-status.ts";
import type { Logger } from "../logging/logger.ts";
import type { MemoryBudget } from "../memory-budget.ts";
import type { RuntimeMetrics } from "../metrics/runtime-metrics.ts";
import { createWitness } from "../net/witness.ts";
import type { PlaneSecurity } from "../security/plane-security.ts";
import type { Hello } from "../wire/hello.ts";
import type { ClientConnection } from "./client-connection.ts";
import { dialWorker } from "./dial-worker.ts";
import { createRecentlyGone, type RecentlyGone } from "./recently-gone.ts";
import { createRedial } from "./redial.ts";

/** What connections of a runtime share. Times are ms. */
export interface PeersOptions {
  readonly hello: Hello;
  readonly connectTimeoutMs: number;
  readonly pingIntervalMs: number;
  readonly security: PlaneSecurity;
  readonly memory: MemoryBudget;
  readonly metrics: RuntimeMetrics;
  readonly log: Logger;
  /** A connection has ended that nobody wanted to end. */
  readonly onLost: (key: string) => void;
  /** The instance with that key answers nothing and is waited for, or (false) is waited for no longer. */
  readonly onStall: (key: string, isStalled: boolean) => void;
  /** As of the discovery: what grows while the process of that record lives. */
  readonly readBeat: (recordKey: string) => Promise<number | undefined>;
  /** Monotonic clock, ms. */
  readonly now: () => number;
}

/** Disposing it closes all connections; requests that run on them fail with `unavailable`. */
export interface Peers extends AsyncDisposable, InstanceStatuses {
  /** Connections that are open. */
  readonly size: number;
  /** A usable connection to `instance`, at once if there is one.
   *  @throws RuntimeError `cannot_connect`, at once if it has failed so often that it is not dialled yet; `unavailable` while it drains. */
  get(instance: Instance): ClientConnection | Promise<ClientConnection>;
}

/** A connection that has lasted so long, ms, was of use even if nobody has asked anything. */
const steadyMs = 1_000;

type Peer =
  | { type: "dialling"; connection: Promise<ClientConnection> }
  | { type: "open"; connection: ClientConnection; openedAt: number };

/** Create an empty set of connections. */
export function createPeers(options: PeersOptions): Peers {
  const recentlyGone = createRecentlyGone();
  const pool = createPool(options, recentlyGone);

  function statusOf({ key, path }: Instance): InstanceStatus {
    if (recentlyGone.has(key)) return "left"; // an id is one life of a process
    const connection = pool.find(key);
    if (!connection?.isUsable) return "unknown";
    return connection.hasWithdrawn(path) ? "left" : "here";
  }

  return {
    get size() {
      return pool.countOpen();
    },
    get: pool.get,
    statusOf,
    async probe(instance) {
      try {
        await pool.get(instance);
      } catch {
        // whether it could be dialled is in what follows, and why not in the log of those who need it
      }
      return statusOf(instance);
    },
    onChange: recentlyGone.onChange,
    [Symbol.asyncDispose]: async () => pool.close(),
  };
}

interface Pool {
  readonly get: Peers["get"];
  /** The connection to an instance, if it is open. */
  find(key: string): ClientConnection | undefined;
  countOpen(): number;
  close(): void;
}

function createPool(options: PeersOptions, recentlyGone: RecentlyGone): Pool {
  const peers = new Map<string, Peer>();
  const redial = createRedial({ now: options.now, random: Math.random });
  let closed = false;
  const parts: DialParts = {
    ...options,
    isClosed: () => closed,
    onGone(key, connection) {
      const peer = peers.get(key);
      if (peer?.type === "open" && peer.connection === connection) {
        peers.delete(key);
        const wasOfUse = connection.hasAnswered || options.now() - peer.openedAt >= steadyMs;
        redial[wasOfUse ? "succeeded" : "failed"](key);
      }
      if (connection) recentlyGone.notify(key);
    },
    onLeave: (key, isGoingAway) => recentlyGone.leave(key, isGoingAway),
  };

  async function settle(key: string, dialling: Promise<ClientConnection>): Promise<ClientConnection> {
    try {
      const connection = await dialling;
      peers.set(key, { type: "open", connection, openedAt: options.now() });
      return connection;
    } catch (error) {
      peers.delete(key);
      redial.failed(key);
      throw error;
    }
  }

  function start(instance: Instance): Promise<ClientConnection> {
    assertMayDial(instance, redial.waitMs(instance.key));
    const connection = settle(instance.key, dialInstance(instance, parts));
    peers.set(instance.key, { type: "dialling", connection });
    return connection;
  }

  return {
    get(instance) {
      const peer = peers.get(instance.key);
      if (closed) throw new RuntimeError("unavailable", "this runtime is closed");
      if (!peer) return start(instance);
      if (peer.type === "dialling" || peer.connection.isUsable) return peer.connection;
      if (peer.connection.isGoingAway) throw new RuntimeError("unavailable", `instance ${instance.id} is draining`);
      return start(instance);
    },
    find(key) {
      const peer = peers.get(key);
      return peer?.type === "open" ? peer.connection : undefined;
    },
    countOpen: () => [...peers.values()].filter(({ type }) => type === "open").length,
    close() {
      closed = true;
      for (const peer of peers.values()) if (peer.type === "open") peer.connection.close();
      peers.clear();
    },
  };
}

function assertMayDial({ id, host, port }: Instance, waitMs: number): void {
  if (waitMs <= 0) return;
  const where = `instance ${id} at ${formatHostPort(host, port)}`;
  throw new RuntimeError(
    "cannot_connect",
    `${where} is dialled again in ${Math.ceil(waitMs)} ms: its last connections failed or were of no use`,
  );
}

interface DialParts extends PeersOptions {
  readonly isClosed: () => boolean;
  readonly onGone: (key: string, connection: ClientConnection | undefined) => void;
  readonly onLeave: (key: string, isGoingAway: boolean) => void;
}

async function dialInstance(instance: Instance, parts: DialParts): Promise<ClientConnection> {
  const { key, id, host, port, isTls = false } = instance;
  const { hello, connectTimeoutMs, pingIntervalMs, security, memory, metrics, log } = parts;
  const address = formatHostPort(host, port);
  const state: { opened?: ClientConnection; isOver: boolean } = { isOver: false };
  const connection = await dialWorker({
    key,
    host,
    port,
    hello,
    connectTimeoutMs,
    pingIntervalMs,
    onLeave: (isGoingAway) => parts.onLeave(key, isGoingAway),
    isTls,
    security,
    memory,
    witness: createWitness({ host, port, readBeat: () => parts.readBeat(recordKeyOf(instance)) }),
    onStall(isStalled) {
      if (state.isOver) return;
      parts.onStall(key, isStalled);
      const fields = { instance_id: id, address };
      if (isStalled) log.warn(fields, "instance does not answer and lives, it gets no new requests");
      else log.info(fields, "instance answers again after it was silent");
    },
    onClose(cause) {
      state.isOver = true;
      parts.onStall(key, false);
      parts.onGone(key, state.opened);
      if (state.opened) metrics.connections.dec();
      if (cause && state.opened) {
        parts.onLost(key);
        log.warn({ instance_id: id, address, error: cause.message }, "connection to instance lost");
      } else log.debug({ instance_id: id, address }, "connection to instance closed");
    },
  });
  if (state.isOver) throw new RuntimeError("disconnected", `${address} closed the connection after its HELLO`);
  state.opened = connection;
  metrics.connections.inc();
  // A port can be taken over by another process: the id in HELLO decides who answered.
  const answered = (await connection.ready).instance_id;
  if (parts.isClosed() || answered !== id) {
    connection.close();
    throw new RuntimeError("cannot_connect", `${address} is instance ${answered ?? "unknown"}, expected ${id}`);
  }
  log.debug({ instance_id: id, address }, "connection to instance opened");
  return connection;
}
