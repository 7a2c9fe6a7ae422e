/** Turns accepted sockets into TLS ones: what comes out has shown its certificate, if one is asked for. */
import type { Socket } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import { formatEnds, formatRemote } from "../address.ts";
import type { Logger } from "../logging/logger.ts";
import { explainTlsError, type TlsMaterial } from "../security/tls.ts";

/** Of one listener. */
export interface TlsAcceptorOptions {
  /** Certificates in use, asked for each connection. With an authority, peers must have a certificate of it. */
  readonly tls: () => TlsMaterial;
  /** How long a handshake may take, ms. */
  readonly timeoutMs: number;
  readonly log: Logger;
  readonly onSecure: (socket: TLSSocket) => void;
}

/** Between the port and the plane: TLS 1.3 alone. */
export interface TlsAcceptor extends Disposable {
  /** Takes ownership of an accepted socket. */
  readonly enter: (socket: Socket) => void;
  /** Say nothing of its end. */
  readonly forget: (socket: Socket) => void;
}

const brokenOff = "the caller broke off the TLS handshake: does it trust this certificate?";
// Node ends the connection of a caller whose certificate it does not accept without an error.
const endedByEither =
  "the TLS handshake ended early: the caller does not trust this certificate, or its own is not of an authority in --tcp-tls-ca";

/** Create one. Disposing it ends handshakes that are under way. */
export function createTlsAcceptor({ tls, timeoutMs, log, onSecure }: TlsAcceptorOptions): TlsAcceptor {
  let used = tls();
  const inside = new Map<string, Socket>();
  const isMutual = used.hasAuthority;
  // It listens nowhere: sockets are handed to it by "connection", as its documentation allows.
  const server = createServer({
    ...used.options,
    requestCert: isMutual,
    rejectUnauthorized: isMutual,
    handshakeTimeout: timeoutMs,
  });
  server.on("secureConnection", (socket) => {
    inside.delete(formatEnds(socket));
    onSecure(socket);
  });
  server.on("tlsClientError", (error, socket) => {
    const [ends, remote] = [formatEnds(socket), formatRemote(socket)];
    socket.destroy();
    // Without an address it has gone already; its own end says so.
    if (inside.delete(ends))
      log.summed("warn", { remote, reason: explainTlsError(error) }, "connection refused", { kind: "TLS" });
  });
  return {
    enter(socket) {
      const current = tls();
      if (current !== used) server.setSecureContext(current.options);
      used = current;
      const [ends, remote] = [formatEnds(socket), formatRemote(socket)];
      inside.set(ends, socket);
      socket.once("close", () => {
        if (inside.delete(ends))
          log.summed("warn", { remote, reason: isMutual ? endedByEither : brokenOff }, "connection refused", {
            kind: "TLS broken off",
          });
      });
      server.emit("connection", socket);
    },
    forget: (socket) => void inside.delete(formatEnds(socket)),
    [Symbol.dispose]() {
      const left = [...inside.values()];
      inside.clear();
      for (const socket of left) socket.destroy();
    },
  };
}
