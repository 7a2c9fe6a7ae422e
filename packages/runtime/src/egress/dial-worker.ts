/** Dials a worker: a socket, its TLS, and the first words on both sides. */
import { formatHostPort } from "../address.ts";
import { PeerError } from "../errors.ts";
import { dialSocket } from "../net/dial.ts";
import type { Witness } from "../net/witness.ts";
import type { Guard } from "../security/auth.ts";
import type { PlaneSecurity } from "../security/plane-security.ts";
import { toRuntimeError } from "../thrown.ts";
import type { Hello } from "../wire/hello.ts";
import { ClientConnection, type ClientConnectionOwner } from "./client-connection.ts";

/** Whom to dial, and what is said to it. Times are ms. */
export interface DialWorkerOptions extends ClientConnectionOwner {
  /** The instance that is meant, and where: `Instance.key`. */
  readonly key: string;
  readonly host: string;
  readonly port: number;
  readonly hello: Hello;
  readonly connectTimeoutMs: number;
  readonly pingIntervalMs: number;
  /** The worker speaks TLS, says its record. */
  readonly isTls: boolean;
  /** Who knows whether it lives while it says nothing. Default: nobody. */
  readonly witness?: Witness;
  readonly security: PlaneSecurity;
}

/** Dial it and wait for its HELLO. @throws RuntimeError `cannot_connect`. */
export async function dialWorker(options: DialWorkerOptions): Promise<ClientConnection> {
  const {
    key: dialled,
    host,
    port,
    hello,
    connectTimeoutMs,
    pingIntervalMs,
    isTls,
    security,
    memory,
    witness,
  } = options;
  const socket = await dialSocket({ host, port, timeoutMs: connectTimeoutMs, isTls, security });
  const guard: Guard | undefined = security.tokens && { role: "dialler", tokens: security.tokens.current, dialled };
  const client = new ClientConnection(
    socket,
    { role: "dialler", hello, helloTimeoutMs: connectTimeoutMs, pingIntervalMs, guard, memory, witness },
    options,
  );
  try {
    await client.ready;
  } catch (cause) {
    throw new PeerError(
      "cannot_connect",
      `${formatHostPort(host, port)} did not complete HELLO: ${toRuntimeError(cause).message}`,
      { cause },
    );
  }
  return client;
}
