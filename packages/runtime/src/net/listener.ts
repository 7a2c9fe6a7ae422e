/** The listening socket of a process: sniffs the first bytes and hands over connections that speak the native plane. */
import { createServer, type AddressInfo, type Socket } from "node:net";
import { formatHostPort, isLoopback } from "../address.ts";
import { RuntimeError } from "../errors.ts";
import type { Logger } from "../logging/logger.ts";
import { preface } from "../wire/frames.ts";
import { openTlsDoor } from "./tls-door.ts";
import type { TlsMaterial } from "./tls.ts";

export interface ListenOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** How long the first bytes may take, ms. */
  readonly prefaceTimeoutMs: number;
  /** Most connections at a time; further ones are closed at once. */
  readonly maxConnections: number;
  readonly log: Logger;
  /** Certificates in use, asked for each connection; undefined = no TLS. */
  readonly tls?: (() => TlsMaterial) | undefined;
  /** Callers are asked for nothing: it is a warning if those of other machines can come. Default false. */
  readonly isOpen?: boolean;
  /** Takes ownership of a socket whose preface has been read; `head` is what came after it. */
  readonly onConnection: (socket: Socket, head: Buffer) => void;
}

export interface Listener extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
}

export interface LazyListener extends AsyncDisposable {
  /** The listener, opened at the first call. A call after one that failed tries again. */
  open(): Promise<Listener>;
}

/** Create a listener that is opened when it is needed. */
export function createLazyListener(listen: () => Promise<Listener>): LazyListener {
  let listening: Promise<Listener> | undefined;
  return {
    open() {
      listening ??= listen().catch((error: unknown) => {
        listening = undefined;
        throw error;
      });
      return listening;
    },
    async [Symbol.asyncDispose]() {
      const listener = await listening?.catch(() => undefined); // whoever called open() was told
      await listener?.[Symbol.asyncDispose]();
    },
  };
}

const openWarning =
  "everybody who reaches the request plane is served, nobody is asked for a token: set --plane-token-file, or listen on 127.0.0.1 with --tcp-host";

/** Start listening. @throws RuntimeError `unavailable` if the address cannot be had. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { host, port, log } = options;
  const waiting = new Set<Socket>();
  const accept = (socket: Socket): void => sniff(socket, options, waiting);
  const door = options.tls && openTlsDoor({ tls: options.tls, timeoutMs: options.prefaceTimeoutMs, log, onSecure: accept });
  const server = createServer({ noDelay: true, keepAlive: true }, door?.enter ?? accept);
  server.maxConnections = options.maxConnections;
  server.on("drop", (dropped) =>
    log.summed("warn", { remote: dropped?.remoteAddress, limit: options.maxConnections }, "connection refused: too many"),
  );
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => {
      const isTaken = "code" in cause && cause.code === "EADDRINUSE";
      const advice = isTaken ? "; choose another port with --tcp-port or DYN_TCP_RPC_PORT" : "";
      reject(
        new RuntimeError("unavailable", `cannot listen on ${formatHostPort(host, port)}: ${cause.message}${advice}`, {
          cause,
          publicMessage: "the request plane cannot listen",
        }),
      );
    });
    server.listen({ host, port }, resolve);
  });
  server.on("error", (error) => log.error({ error }, "request plane listener failed"));
  const bound = server.address() as AddressInfo; // a TCP server that listens
  if (options.isOpen && !isLoopback(bound.address)) log.warnOnce({ host: bound.address }, openWarning);
  let closing: Promise<void> | undefined;
  return {
    host: bound.address,
    port: bound.port,
    [Symbol.asyncDispose]() {
      closing ??= new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of waiting) socket.destroy();
        door?.[Symbol.dispose]();
      });
      return closing;
    },
  };
}

function sniff(socket: Socket, { prefaceTimeoutMs, log, onConnection }: ListenOptions, waiting: Set<Socket>): void {
  let first = Buffer.alloc(0);
  waiting.add(socket);
  const refuse = (kind: "late" | "foreign", reason: string): void => {
    log.summed("warn", { remote: formatHostPort(socket.remoteAddress ?? "?", socket.remotePort ?? 0), reason }, "connection refused", { kind });
    socket.destroy();
  };
  const timer = setTimeout(() => refuse("late", `no preface within ${prefaceTimeoutMs} ms`), prefaceTimeoutMs).unref();
  const onClose = (): void => {
    clearTimeout(timer);
    waiting.delete(socket);
  };
  const onError = (): void => undefined; // "close" follows and is all that matters before a request exists
  const onData = (chunk: Buffer): void => {
    first = Buffer.concat([first, chunk]);
    const length = Math.min(first.length, preface.length);
    if (!first.subarray(0, length).equals(preface.subarray(0, length))) {
      return refuse("foreign", `the peer does not speak dyn/1, its first bytes are ${first.subarray(0, preface.length).toString("hex")}`);
    }
    if (length < preface.length) return;
    onClose();
    socket.off("data", onData).off("close", onClose).off("error", onError);
    onConnection(socket, first.subarray(preface.length));
  };
  socket.on("data", onData).on("close", onClose).on("error", onError);
}
