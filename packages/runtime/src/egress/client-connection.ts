/** The dialling end of one connection: opens streams and deals out what arrives for them. */
import type { Socket } from "node:net";
import { RuntimeError } from "../errors.ts";
import { Connection, type ConnectionEvents, type ConnectionOptions } from "../net/connection.ts";
import type { MemoryBudget } from "../memory-budget.ts";
import { frameTypeName, frameTypes, maxStreamId, type FrameType } from "../wire/frames.ts";
import { decodeEnd, decodeError } from "../wire/endings.ts";
import { ItemSender } from "../net/item-sender.ts";
import {
  decodeCredit,
  decodeWithdraw,
  encodeCancel,
  encodeCredit,
  encodePing,
  encodeRequest,
  encodeRequestEnd,
  isRequestStream,
  type CancelMode,
  type RequestMessage,
} from "../wire/messages.ts";
import type { Hello } from "../wire/hello.ts";
import { toRuntimeError } from "../thrown.ts";
import { toWorkerError } from "../worker-errors.ts";
import { toLosses } from "./lost-worker.ts";
import { ClientStream, type StreamOwner } from "./client-stream.ts";
import { WorkerError } from "./worker-error.ts";
import { WorkerTerms } from "./worker-terms.ts";

/** Endpoints a worker may withdraw on one connection. */
const maxWithdrawn = 4_096;

/** Of whoever keeps the connection. */
export interface ClientConnectionOwner {
  /** For frames under way, and items that wait to be read. */
  readonly memory: MemoryBudget;
  /** Called once when the connection is over; `undefined` = in good order. */
  readonly onClose: (cause: RuntimeError | undefined) => void;
  /** Called when the worker answers nothing and is waited for, or (false) is waited for no longer. */
  readonly onStall: (isStalled: boolean) => void;
  /** Called when the worker says that it takes no more requests, or (false) none for one of its endpoints. */
  readonly onLeave: (isGoingAway: boolean) => void;
}

/** All streams between this process and one worker. */
export class ClientConnection implements StreamOwner {
  readonly ready: Promise<Hello>;
  readonly memory: MemoryBudget;
  #connection: Connection;
  #streams = new Map<number, ClientStream>();
  #touched = new Set<ClientStream>();
  #lastId = 0;
  #goingAway = false;
  #hasAnswered = false;
  #isClosedHere = false;
  /** Undefined until it has said HELLO. */
  #terms: WorkerTerms | undefined;
  /** Of request streams that are open: the socket takes more again. */
  #senders = new Set<ItemSender>();
  #withdrawn = new Set<string>();
  #owner: ClientConnectionOwner;

  /** Takes ownership of a connected socket. */
  constructor(socket: Socket, options: ConnectionOptions, owner: ClientConnectionOwner) {
    this.#owner = owner;
    this.memory = owner.memory;
    this.#connection = new Connection(socket, options, this.#events());
    this.ready = this.#connection.ready.then((peer) => {
      this.#terms = new WorkerTerms(peer);
      return peer;
    });
    this.ready.catch(() => undefined); // whoever dials awaits it; a second report would crash the process
  }

  /** False when the worker drains, the connection is gone or its streams are used up: dial again or go elsewhere. */
  get isUsable(): boolean {
    return this.#connection.isOpen && !this.#goingAway && this.#lastId < maxStreamId;
  }

  get isGoingAway(): boolean {
    return this.#goingAway;
  }

  /** True once the worker has said a word to a request. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /** True if the worker has said that it serves this endpoint no more. */
  hasWithdrawn(path: string): boolean {
    return this.#withdrawn.has(path);
  }

  /** Send a request. @throws RuntimeError as `WorkerTerms.admit`; nothing is sent then. */
  open(request: RequestMessage): ClientStream {
    if (!this.isUsable || !this.#terms)
      throw new RuntimeError("disconnected", `connection to ${this.#connection.remote} is closing`);
    this.#terms.admit(request, { streams: this.#streams.size, queuedBytes: this.#connection.queuedBytes });
    const id = this.#lastId + 1;
    // Where one worker was lost the next may be gone as well, with all of their machine: one that answers this was there when the request came.
    const isRetry = request.attempt > 0;
    if (isRetry) encodePing(this.#connection.writer, "PING", toMark(id));
    encodeRequest(this.#connection.writer, id, request);
    this.#lastId = id;
    const isUnheard = isRetry || this.#connection.isSilent;
    const sender = isRequestStream(request) ? new ItemSender(this.#connection, id, 0, toUnsendable) : undefined;
    if (sender) this.#senders.add(sender);
    const stream = new ClientStream(this, id, { windowBytes: request.credit, isUnheard, sender });
    this.#streams.set(id, stream);
    this.#connection.flushSoon();
    return stream;
  }

  sendCancel(id: number, mode: CancelMode): void {
    if (!this.#connection.isOpen) return;
    encodeCancel(this.#connection.writer, id, this.#terms?.toCancelMode(mode) ?? mode);
    this.#connection.flushSoon();
  }

  sendCredit(id: number, bytes: number): void {
    if (!this.#connection.isOpen) return;
    encodeCredit(this.#connection.writer, id, bytes);
    this.#connection.flushSoon();
  }

  sendEnd(id: number): void {
    if (!this.#connection.isOpen) return;
    encodeRequestEnd(this.#connection.writer, id);
    this.#connection.flushSoon();
  }

  refuseItems(id: number, error: RuntimeError): void {
    this.#streams.get(id)?.cancel("kill", error);
  }

  forget(id: number): void {
    const sender = this.#streams.get(id)?.sender;
    if (sender) this.#senders.delete(sender);
    this.#streams.delete(id);
    if (!this.isUsable && this.#streams.size === 0) this.#connection.end();
  }

  /** End the connection; what still runs on it fails, by our own doing. */
  close(): void {
    this.#isClosedHere = true;
    this.#connection.end();
  }

  #events(): ConnectionEvents {
    return {
      onFrame: (type, streamId, body) => this.#frame(type, streamId, body),
      onRefused: (_type, streamId, error) => this.refuseItems(streamId, error),
      onPong: (mark) => this.#streams.get(mark.readUInt32BE(4))?.heard(),
      onChunkEnd: () => {
        for (const stream of this.#touched) stream.wake();
        this.#touched.clear();
      },
      onDrain: () => {
        this.#terms?.drained();
        for (const sender of this.#senders) sender.wake();
      },
      onStall: (isStalled) => this.#owner.onStall(isStalled),
      onClose: (cause) => this.#closed(cause),
    };
  }

  #closed(cause: RuntimeError | undefined): void {
    const { error, lost } = toLosses(cause, {
      remote: this.#connection.remote,
      isClosedHere: this.#isClosedHere,
      isGoingAway: this.#goingAway,
    });
    for (const stream of this.#streams.values()) {
      stream.finish({ type: "error", error: stream.isUnheard ? error : lost });
      stream.wake();
    }
    // A worker that leaves says so first.
    this.#owner.onClose(cause ?? (this.#isClosedHere || this.#goingAway ? undefined : error));
  }

  #frame(type: FrameType, streamId: number, body: Buffer): void {
    if (type === frameTypes.GOAWAY) {
      if (streamId !== 0) throw new RuntimeError("protocol", `GOAWAY on stream ${streamId}`);
      this.#goingAway = true;
      this.#owner.onLeave(true);
      if (this.#streams.size === 0) this.#connection.end();
      return;
    }
    if (type === frameTypes.WITHDRAW && streamId === 0) return this.#withdraw(decodeWithdraw(body));
    if (streamId === 0 || streamId > this.#lastId)
      throw new RuntimeError("protocol", `${frameTypeName(type)} on stream ${streamId}, which was never opened`);
    const stream = this.#streams.get(streamId);
    if (!stream) return; // killed or failed here while the worker's last frames were under way
    this.#hasAnswered = true;
    this.#touched.add(stream);
    try {
      this.#streamFrame(stream, type, body);
    } catch (error) {
      // Framing still holds: this stream alone is lost.
      stream.cancel(
        "kill",
        error instanceof RuntimeError ? error : new RuntimeError("internal", "stream failed", { cause: error }),
      );
    }
  }

  // For good: an endpoint that the same process serves again is used by its record alone.
  #withdraw(path: string): void {
    if (this.#withdrawn.size >= maxWithdrawn)
      throw new RuntimeError("protocol", `more than ${maxWithdrawn} endpoints are withdrawn`);
    this.#withdrawn.add(path);
    this.#owner.onLeave(false);
  }

  #streamFrame(stream: ClientStream, type: FrameType, body: Buffer): void {
    if (type === frameTypes.ITEMS) return stream.receive(body);
    if (type === frameTypes.CREDIT) return stream.grant(decodeCredit(body));
    if (type === frameTypes.END) return stream.finish({ type: "end", trailer: decodeEnd(body) });
    if (type === frameTypes.ERROR) {
      const { code, message, trailer, produced: _, ...facts } = decodeError(body);
      const error = toWorkerError(new WorkerError(code, message, facts), "the worker");
      return stream.finish({ type: "error", error, ...(trailer && { trailer }) });
    }
    throw new RuntimeError("protocol", `${frameTypeName(type)} is not for the dialling side`);
  }
}

// The caller's fault.
function toUnsendable(cause: unknown): RuntimeError {
  const { message } = toRuntimeError(cause);
  return new RuntimeError("invalid_argument", `an item of the request: ${message}`, { cause });
}

// Layout: u32 0 · u32 stream id. Pings of the heartbeat have stream 0, which is none.
function toMark(streamId: number): Buffer {
  const mark = Buffer.alloc(8);
  mark.writeUInt32BE(streamId, 4);
  return mark;
}
