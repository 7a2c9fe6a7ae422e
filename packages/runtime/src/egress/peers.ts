/** One connection per worker, dialled when first needed and shared by all requests. */
import { RuntimeError } from "../errors.ts";
import type { Instance } from "../discovery/live-set.ts";
import type { Logger } from "../logging/logger.ts";
import type { RuntimeMetrics } from "../metrics.ts";
import type { Hello } from "../wire/messages.ts";
import { PlaneClient } from "./plane-client.ts";

export interface PeersOptions {
  readonly hello: Hello;
  readonly connectTimeoutMs: number;
  readonly pingIntervalMs: number;
  readonly metrics: RuntimeMetrics;
  readonly log: Logger;
}

export interface Peers extends AsyncDisposable {
  /** A usable connection to `instance`, at once if there is one. @throws RuntimeError `cannot_connect`, or `unavailable` while it drains. */
  get(instance: Instance): PlaneClient | Promise<PlaneClient>;
}

type Peer = { type: "dialling"; client: Promise<PlaneClient> } | { type: "open"; client: PlaneClient };

export function createPeers({ hello, connectTimeoutMs, pingIntervalMs, metrics, log }: PeersOptions): Peers {
  const peers = new Map<string, Peer>();
  let closed = false;

  async function dial(instance: Instance): Promise<PlaneClient> {
    const { id, host, port } = instance;
    const client = await PlaneClient.dial({
      host,
      port,
      hello,
      connectTimeoutMs,
      pingIntervalMs,
      onClose(cause) {
        if (peers.get(id)?.client === client) peers.delete(id);
        metrics.connections.dec();
        if (cause) log.warn({ instance_id: id, address: `${host}:${port}`, error: cause.message }, "connection to instance lost");
        else log.debug({ instance_id: id, address: `${host}:${port}` }, "connection to instance closed");
      },
    });
    metrics.connections.inc();
    // A port can be taken over by another process: the id in HELLO decides who answered.
    const answered = (await client.ready).instance_id;
    if (closed || answered !== id) {
      client.close();
      throw new RuntimeError("cannot_connect", `${host}:${port} is instance ${answered ?? "unknown"}, expected ${id}`);
    }
    log.debug({ instance_id: id, address: `${host}:${port}` }, "connection to instance opened");
    return client;
  }

  function start(instance: Instance): Promise<PlaneClient> {
    const client = dial(instance).then(
      (opened) => {
        peers.set(instance.id, { type: "open", client: opened });
        return opened;
      },
      (error: unknown) => {
        peers.delete(instance.id);
        throw error;
      },
    );
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
    async [Symbol.asyncDispose]() {
      closed = true;
      for (const peer of peers.values()) if (peer.type === "open") peer.client.close();
      peers.clear();
    },
  };
}
