/** Connects to a listener, in the clear or with TLS. */
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { formatHostPort } from "../address.ts";
import { PeerError, RuntimeError } from "../errors.ts";
import { startTimeLimit } from "../lifetime.ts";
import type { PlaneSecurity } from "../security/plane-security.ts";

/** Where to, and how it is made safe. */
export interface DialOptions {
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
  /** The listener speaks TLS, says its record. */
  readonly isTls: boolean;
  readonly security: PlaneSecurity;
}

/** @throws RuntimeError `cannot_connect`, also if the listener's certificate is not of our authority, or it has none where TLS is asked for. */
export async function dialSocket(options: DialOptions): Promise<Socket> {
  const { host, port, timeoutMs, isTls, security } = options;
  const address = formatHostPort(host, port);
  if (!isTls && security.tlsDemandedBy !== undefined) {
    throw new RuntimeError("cannot_connect", `${address} offers no TLS, and ${security.tlsDemandedBy} asks for it`);
  }
  const socket = isTls ? startTls(options) : connectTcp({ host, port });
  socket.setNoDelay(true).setKeepAlive(true);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  using _limit = startTimeLimit(timeoutMs, () =>
    reject(new PeerError("cannot_connect", `${address} did not answer within ${timeoutMs} ms`)),
  );
  const ready = isTls ? "secureConnect" : "connect";
  const onError = (cause: Error): void =>
    reject(
      new PeerError("cannot_connect", `cannot connect to ${address}: ${cause.message}${adviceOn(cause)}`, { cause }),
    );
  const onClose = (): void => reject(new PeerError("cannot_connect", `${address} closed the connection at once`));
  socket.once(ready, resolve).once("error", onError).once("close", onClose);
  try {
    await promise;
    return socket;
  } catch (error) {
    socket.on("error", () => undefined); // what was wrong is known
    socket.destroy();
    throw error;
  } finally {
    socket.off(ready, resolve).off("error", onError).off("close", onClose);
  }
}

const untrusted: ReadonlySet<unknown> = new Set([
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
]);

function adviceOn(cause: Error): string {
  const code = "code" in cause ? cause.code : undefined;
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return "; say the name it has with --tcp-tls-server-name";
  return untrusted.has(code) ? "; set the authority with --tcp-tls-ca" : "";
}

function startTls({ host, port, security: { tls, serverName } }: DialOptions): Socket {
  const name = serverName === "" ? host : serverName;
  return connectTls({
    host,
    port,
    minVersion: "TLSv1.3",
    ...(tls && { secureContext: tls.current.context }),
    ...(isIP(name) === 0 && { servername: name }), // SNI has no addresses
  });
}
