/** The listening socket of a process: sniffs the first bytes and hands over connections that speak the native plane. */
import { createServer, type AddressInfo, type Socket } from "node:net";
import { formatHostPort, formatRemote, isLoopback } from "../address.ts";
import { countOf } from "../counts.ts";
import { RuntimeError } from "../errors.ts";
import { once, startTimeLimit } from "../lifetime.ts";
import { toListenError } from "../listen-error.ts";
import type { Logger } from "../logging/logger.ts";
import { createStrangers } from "../strangers.ts";
import { preface } from "../wire/frames.ts";
import { createTlsAcceptor } from "./tls-acceptor.ts";
import type { TlsMaterial } from "../security/tls.ts";

/** Of the request plane of a process. */
export interface ListenOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** How long the first bytes may take, ms. */
  readonly prefaceTimeoutMs: number;
  /** Most connections at a time that have proven themselves. */
  readonly maxConnections: number;
  readonly log: Logger;
  /** Certificates in use, asked for each connection; undefined = no TLS. */
  readonly tls?: (() => TlsMaterial) | undefined;
  /** Callers are asked for nothing: it is a warning if those of other machines can come. Default false. */
  readonly isOpen?: boolean;
  /** Takes ownership of a socket whose preface has been read; `head` is what came after it. `admit` is to be called once the peer has proven itself,
   *  and throws RuntimeError `overloaded` if there are as many as there may be. */
  readonly onConnection: (socket: Socket, head: Buffer, admit: () => void) => void;
}

/** Where it is bound. Disposing it closes the port; connections that were handed over go on. */
export interface Listener extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
}

/** Most connections at a time that have not proven themselves. */
const maxStrangers = 1_024;

const openWarning =
  "everybody who reaches the request plane is served, nobody is asked for a token: set --plane-token-file, or listen on 127.0.0.1 with --tcp-host";

/** Start listening. @throws RuntimeError `unavailable` if the address cannot be had. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { host, port, log } = options;
  const waiting = new Set<Socket>();
  const { admit, enter } = limitConnections(options, (socket) => acceptor?.forget(socket));
  const accept = (socket: Socket): void => sniff(socket, { ...options, admit }, waiting);
  const acceptor =
    options.tls && createTlsAcceptor({ tls: options.tls, timeoutMs: options.prefaceTimeoutMs, log, onSecure: accept });
  const server = createServer({ noDelay: true, keepAlive: true }, (socket) => {
    enter(socket);
    (acceptor?.enter ?? accept)(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(toListenError(cause, formatHostPort(host, port), "--tcp-port or DYN_TCP_RPC_PORT")),
    );
    server.listen({ host, port }, resolve);
  });
  server.on("error", (error) => log.error({ error }, "request plane listener failed"));
  const bound = server.address() as AddressInfo; // a TCP server that listens
  if (options.isOpen && !isLoopback(bound.address)) log.warnOnce({ host: bound.address }, openWarning);
  const close = once(() => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of waiting) socket.destroy();
    acceptor?.[Symbol.dispose]();
    // Connections that are over keep no process alive, but whoever waits here does: each is destroyed after its time.
    const hold = setInterval(() => undefined, 1_000);
    return closed.finally(() => clearInterval(hold));
  });
  return { host: bound.address, port: bound.port, [Symbol.asyncDispose]: close };
}

interface Admittance {
  readonly enter: (socket: Socket) => void;
  /** @throws RuntimeError `overloaded` if as many connections as there may be have proven themselves. */
  readonly admit: (socket: Socket) => void;
}

// Lines say why a connection is refused. One that is sent away as a stranger has not been refused for anything else.
function limitConnections(
  { maxConnections: limit, log }: ListenOptions,
  onSentAway: (socket: Socket) => void,
): Admittance {
  const crowd = `more than ${maxStrangers} connections have not proven themselves: this is the oldest of its address`;
  const strangers = createStrangers({
    maxStrangers,
    maxKnown: limit,
    onCrowded(oldest) {
      onSentAway(oldest);
      logRefused(log, oldest, "crowd", crowd);
    },
  });
  return {
    enter: (socket) => strangers.enter(socket),
    admit(socket) {
      if (strangers.admit(socket)) return;
      log.summed("warn", { remote: formatRemote(socket), limit }, "connection refused: too many");
      throw new RuntimeError("overloaded", `${countOf(limit, "connection is", "connections are")} open, the limit`);
    },
  };
}

function logRefused(log: Logger, socket: Socket, kind: "late" | "foreign" | "crowd", reason: string): void {
  log.summed("warn", { remote: formatRemote(socket), reason }, "connection refused", { kind });
}

interface SniffOptions extends ListenOptions {
  readonly admit: (socket: Socket) => void;
}

function sniff(
  socket: Socket,
  { prefaceTimeoutMs, log, onConnection, admit }: SniffOptions,
  waiting: Set<Socket>,
): void {
  let first = Buffer.alloc(0);
  waiting.add(socket);
  const refuse = (kind: "late" | "foreign", reason: string): void => {
    logRefused(log, socket, kind, reason);
    socket.destroy();
  };
  const limit = startTimeLimit(prefaceTimeoutMs, () => refuse("late", `no preface within ${prefaceTimeoutMs} ms`));
  const onClose = (): void => {
    limit[Symbol.dispose]();
    waiting.delete(socket);
  };
  const onError = (): void => undefined; // "close" follows and is all that matters before a request exists
  const onData = (chunk: Buffer): void => {
    first = Buffer.concat([first, chunk]);
    const length = Math.min(first.length, preface.length);
    if (!first.subarray(0, length).equals(preface.subarray(0, length))) {
      return refuse(
        "foreign",
        `the peer does not speak dyn/1, its first bytes are ${first.subarray(0, preface.length).toString("hex")}`,
      );
    }
    if (length < preface.length) return;
    onClose();
    socket.off("data", onData).off("close", onClose).off("error", onError);
    onConnection(socket, first.subarray(preface.length), () => admit(socket));
  };
  socket.on("data", onData).on("close", onClose).on("error", onError);
}
