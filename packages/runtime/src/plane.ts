/** The two ends of the request plane, as the services of a runtime say. */
import type { Health } from "./egress/health.ts";
import { createPeers, type Peers } from "./egress/peers.ts";
import { createPlaneServer, type PlaneServer } from "./ingress/plane-server.ts";
import { listen, type Listener } from "./net/listener.ts";
import { asksCallers, requireListenerTls } from "./security/plane-security.ts";
import type { Services } from "./services.ts";
import type { RuntimeConfig } from "./settings/runtime-config.ts";
import { agent } from "./version.ts";
import type { Hello } from "./wire/hello.ts";
import { expiredCancels, requestStreams } from "./wire/messages.ts";

const now = (): number => performance.now();

function toHello({ tcpMaxMessageSize: max_frame_bytes, tcpMaxStreams: max_streams }: RuntimeConfig): Hello {
  return { version: 1, agent, capabilities: [], max_frame_bytes, max_streams };
}

/** Those that are dialled. `health` hears of each whose connection was lost, or that says nothing. */
export function openPeers({ config, security, memory, metrics, discovery, log: all }: Services, health: Health): Peers {
  const { tcpConnectTimeoutMs: connectTimeoutMs, tcpPingIntervalMs: pingIntervalMs } = config;
  const log = all.child({ target: "dyn_runtime::egress" });
  const hello = toHello(config);
  return createPeers({
    hello,
    connectTimeoutMs,
    pingIntervalMs,
    security,
    memory,
    metrics,
    log,
    onLost: (key) => health.lost(key),
    onStall: (key, isStalled) => health.stalled(key, isStalled),
    readBeat: (recordKey) => discovery.readBeat(recordKey),
    now,
  });
}

/** The end that serves; it listens once it is given to `listenForPeers`. */
export function openServer(services: Services): PlaneServer {
  const { id, config, security, memory, metrics, log, tracer, scopes, discovery } = services;
  const { tokens } = security;
  return createPlaneServer({
    hello: { ...toHello(config), instance_id: id.toString(), capabilities: [requestStreams, expiredCancels] },
    helloTimeoutMs: config.tcpConnectTimeoutMs,
    pingIntervalMs: config.tcpPingIntervalMs,
    memory,
    guard: () => tokens && { role: "listener", tokens: tokens.current, isAnnounced: discovery.isAnnounced },
    log: log.child({ target: "dyn_runtime::ingress" }),
    rejections: metrics.rejections,
    tracer,
    scopes,
    now,
  });
}

/** Listen for those who dial. @throws RuntimeError `unavailable` if the address cannot be had, `invalid_argument` if a certificate is wanted and there is none. */
export async function listenForPeers({ config, security, log }: Services, server: PlaneServer): Promise<Listener> {
  return listen({
    host: config.tcpHost,
    port: config.tcpPort,
    prefaceTimeoutMs: config.tcpConnectTimeoutMs,
    maxConnections: config.tcpMaxConnections,
    log: log.child({ target: "dyn_runtime::net" }),
    tls: requireListenerTls(security),
    isOpen: !asksCallers(security),
    onConnection: (socket, head, admit) => server.accept(socket, head, admit),
  });
}
