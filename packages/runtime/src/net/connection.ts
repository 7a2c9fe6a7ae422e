/** One connection of the plane: preface, HELLO, frames, one write per tick, heartbeat, and a reason for its end. */
import type { Socket } from "node:net";
import { formatRemote } from "../address.ts";
import { PeerError, RuntimeError } from "../errors.ts";
import { toRuntimeError } from "../thrown.ts";
import type { MemoryBudget, MemoryShare } from "../memory-budget.ts";
import type { FrameWriter } from "../wire/frame-writer.ts";
import { FrameDecoder, frameTypes, maxHelloBytes, preface, type FrameType } from "../wire/frames.ts";
import { decodeError, encodeError } from "../wire/endings.ts";
import { encodeAuth, encodeHello, type Hello } from "../wire/hello.ts";
import { startTimeLimit } from "../lifetime.ts";
import { Greeting } from "./greeting.ts";
import { Outbox } from "./outbox.ts";
import { Pings } from "./pings.ts";
import type { Witness } from "./witness.ts";
import { beginHandshake, type Guard, type Role } from "../security/auth.ts";
import { explainTlsError } from "../security/tls.ts";

/** Of one connection; both ends have the same. */
export interface ConnectionOptions {
  readonly role: Role;
  /** What we say of ourselves. Its `max_frame_bytes` is enforced, as is the peer's for items. */
  readonly hello: Hello;
  /** How long the peer's HELLO may take, ms. */
  readonly helloTimeoutMs: number;
  /** Silence after which the peer is pinged, ms; it is dead after three of these. */
  readonly pingIntervalMs: number;
  /** With it the peer must prove that it knows the token, too. Default: no proof is asked for. */
  readonly guard?: Guard | undefined;
  /** For frames that arrive in pieces, and what waits for a peer that reads slowly. */
  readonly memory: MemoryBudget;
  /** Who knows whether a peer that is silent lives all the same. Default: nobody. */
  readonly witness?: Witness | undefined;
  /** Bytes already read from the socket, after the preface. */
  readonly head?: Buffer;
}

/** What the owner of a connection hears. All are called synchronously, `onClose` exactly once and last. */
export interface ConnectionEvents {
  /** The peer has said HELLO, and proven itself where that is asked for. What is thrown ends the connection. */
  onOpen?(): void;
  onFrame(type: FrameType, streamId: number, body: Buffer): void;
  /** There is no memory for a frame: it is passed over. */
  onRefused(type: FrameType, streamId: number, error: RuntimeError): void;
  /** The peer has answered a ping; these are its bytes. */
  onPong(opaque: Buffer): void;
  /** All frames of one chunk have been handed over: the moment to wake readers, once each. */
  onChunkEnd(): void;
  onDrain(): void;
  /** The peer answers nothing and is waited for all the same, or (false) it has been heard again. */
  onStall?(isStalled: boolean): void;
  /** `undefined` = the peer closed in good order. */
  onClose(cause: RuntimeError | undefined): void;
}

/** How long a peer may take to read why its connection ends, and to close it too, ms. */
const farewellMs = 1_000;
/** The same for the ends of its answers. */
const lastReadsMs = 5_000;

type Phase = "greeting" | "open" | "closed";

/** Takes ownership of a connected socket. */
export class Connection {
  /** Where frames are written; `flushSoon` sends them. */
  readonly writer: FrameWriter;
  /** Resolves with the peer's HELLO, once it has proven itself where that is asked for; rejects if the connection ends before. */
  readonly ready: Promise<Hello>;
  readonly remote: string;
  #socket: Socket;
  #events: ConnectionEvents;
  #phase: Phase = "greeting";
  #decoder: FrameDecoder;
  #share: MemoryShare;
  #outbox: Outbox;
  #greeting: Greeting;
  #helloLimit: Disposable;
  #pings: Pings;
  #options: ConnectionOptions;
  #settle: { resolve: (peer: Hello) => void; reject: (error: RuntimeError) => void };

  constructor(socket: Socket, options: ConnectionOptions, events: ConnectionEvents) {
    this.#socket = socket;
    this.#events = events;
    this.#options = options;
    const handshake = beginHandshake(options.guard, socket);
    this.#greeting = new Greeting(handshake, (proof) => {
      encodeAuth(this.writer, proof);
      this.flushSoon();
    });
    this.remote = formatRemote(socket);
    this.#share = options.memory.open();
    this.#outbox = new Outbox(socket, options.memory.open());
    this.writer = this.#outbox.writer;
    const onRefused: ConnectionEvents["onRefused"] = (type, streamId, error) => {
      if (this.isOpen) events.onRefused(type, streamId, error);
    };
    this.#decoder = new FrameDecoder(Math.min(maxHelloBytes, options.hello.max_frame_bytes), {
      share: this.#share,
      onRefused,
    });
    this.#pings = this.#openPings(options);
    const { promise, resolve, reject } = Promise.withResolvers<Hello>();
    this.#settle = { resolve, reject };
    this.ready = promise;
    promise.catch(() => undefined); // onClose reports the same failure to those who do not wait for ready
    this.#listen(socket);
    this.#helloLimit = startTimeLimit(options.helloTimeoutMs, () => this.#endWithoutHello());
    if (options.role === "dialler") socket.write(preface);
    encodeHello(this.writer, { ...options.hello, ...handshake.greeting });
    this.flushSoon();
    const { head } = options;
    if (head && head.length > 0) queueMicrotask(() => this.#read(head));
  }

  #openPings({ pingIntervalMs: intervalMs, witness }: ConnectionOptions): Pings {
    return new Pings({
      remote: this.remote,
      intervalMs,
      witness,
      outbox: this.#outbox,
      state: () => ({ isPaused: this.#socket.isPaused(), frame: this.#decoder.underWay }),
      onPong: (opaque) => this.#events.onPong(opaque),
      onStall: (isStalled) => this.#events.onStall?.(isStalled),
      onDead: (why) => this.close(why),
    });
  }

  #listen(socket: Socket): void {
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("drain", () => {
      this.#outbox.account();
      if (socket.isPaused()) socket.resume();
      this.#events.onDrain();
    });
    socket.on("error", (error) =>
      this.#closed(new PeerError("disconnected", `${this.remote}: ${explainTlsError(error)}`, { cause: error })),
    );
    socket.on("end", () => this.#closed(undefined)); // "close" may come later, and nobody must send a request in between
    socket.on("close", () => this.#closed(undefined));
  }

  #endWithoutHello(): void {
    this.close(
      new RuntimeError(
        "protocol",
        `no ${this.#greeting.awaited} from ${this.remote} within ${this.#options.helloTimeoutMs} ms`,
      ),
    );
  }

  get isOpen(): boolean {
    return this.#phase === "open";
  }

  get isClosed(): boolean {
    return this.#phase === "closed";
  }

  /** True while the peer has not answered a ping. */
  get isSilent(): boolean {
    return this.#pings.isSilent;
  }

  /** Bytes that wait for the kernel. */
  get queuedBytes(): number {
    return this.#outbox.queuedBytes;
  }

  /** False while too much waits for the kernel: the peer is slow, senders should wait for `onDrain`. */
  get isWritable(): boolean {
    return this.#outbox.isWritable;
  }

  /** Read nothing more until everything queued has left: for a peer that keeps asking and does not read the answers. */
  pause(): void {
    this.#socket.pause();
  }

  /** Send what has been written, at the end of this tick. */
  flushSoon(): void {
    this.#outbox.flushSoon();
  }

  /** Tell the peer why (ERROR on stream 0) and end. Idempotent. */
  close(cause: RuntimeError): void {
    if (this.isClosed) return;
    encodeError(this.writer, 0, {
      code: cause.code,
      message: cause.message,
      retryable: cause.retryable,
      produced: false,
    });
    this.#outbox.flush();
    this.#closed(cause);
    this.#socket.end();
  }

  /** End in good order after what is queued. Idempotent. */
  end(): void {
    if (this.isClosed) return;
    this.#outbox.flush();
    this.#closed(undefined);
    this.#socket.end();
  }

  /** As `end`. Resolves once the peer has closed too, having read what was left for it, or after 5 s. */
  async finish(): Promise<void> {
    if (!this.isOpen) return this.end(); // nothing is left for it
    const gone = new Promise((resolve) => this.#socket.once("close", resolve));
    this.#outbox.flush();
    this.#closed(undefined, lastReadsMs);
    this.#socket.ref().end();
    await gone;
  }

  /** Send bytes as they are, between frames. */
  inject(bytes: Uint8Array): void {
    this.#outbox.flush();
    this.#socket.write(bytes);
  }

  // The socket goes on reading, without heed: what arrived at one that is closed would make the system drop what the peer has not read yet.
  #closed(cause: RuntimeError | undefined, lingerMs: number = farewellMs): void {
    if (this.isClosed) return;
    this.#phase = "closed";
    this.#pings[Symbol.dispose]();
    this.#helloLimit[Symbol.dispose]();
    this.#share[Symbol.dispose]();
    this.#outbox[Symbol.dispose]();
    this.#socket.unref().resume();
    setTimeout(() => this.#socket.destroy(), lingerMs).unref();
    this.#settle.reject(cause ?? new PeerError("disconnected", `${this.remote} closed the connection before HELLO`));
    this.#events.onClose(cause);
  }

  #read(chunk: Buffer): void {
    if (this.isClosed) return;
    this.#pings.heard();
    try {
      this.#decoder.push(chunk, (type, streamId, body) => this.#frame(type, streamId, body));
      this.#pings.flush();
      this.#events.onChunkEnd();
    } catch (error) {
      this.close(toRuntimeError(error));
    }
  }

  #frame(type: FrameType, streamId: number, body: Buffer): void {
    if (this.isClosed) return;
    if (type === frameTypes.ERROR && streamId === 0) return this.#refused(body);
    if (this.#phase === "greeting") {
      const peer = this.#greeting.take(type, streamId, body);
      return peer && this.#opened(peer);
    }
    if (type === frameTypes.AUTH) throw new RuntimeError("protocol", "AUTH, which nobody asked for");
    if (type === frameTypes.HELLO) throw new RuntimeError("protocol", "a second HELLO");
    if (type === frameTypes.PING || type === frameTypes.PONG) return this.#pings.frame(type, streamId, body);
    this.#events.onFrame(type, streamId, body);
  }

  #opened(peer: Hello): void {
    this.#events.onOpen?.();
    this.#helloLimit[Symbol.dispose]();
    this.#pings.start();
    this.#decoder.maxBodyBytes = this.#options.hello.max_frame_bytes;
    this.writer.maxBodyBytes = peer.max_frame_bytes;
    this.#phase = "open";
    this.#settle.resolve(peer);
  }

  #refused(body: Buffer): void {
    const { code, message } = decodeError(body);
    this.#closed(
      new PeerError(
        code === "overloaded" ? code : "disconnected",
        `${this.remote} closed the connection: ${code}: ${message}`,
      ),
    );
    this.#socket.destroySoon();
  }
}
