/** What waits to be sent over one connection: the frames of one tick leave in one write. */
import type { Socket } from "node:net";
import type { MemoryShare } from "../memory-budget.ts";
import { FrameWriter } from "../wire/frame-writer.ts";
import { HighWaterMark } from "./high-water.ts";

/** Bytes queued within one tick that leave without waiting for its end. */
const earlyFlushBytes = 256 * 1024;

/** Takes ownership of a share of the memory for requests; the socket is its connection's. Disposing it drops what has not left. */
export class Outbox implements Disposable {
  /** Where frames are written; they wait for a flush. */
  readonly writer: FrameWriter = new FrameWriter();
  readonly #socket: Socket;
  readonly #highWater: HighWaterMark;
  #isFlushing = false;
  #isOver = false;

  constructor(socket: Socket, share: MemoryShare) {
    this.#socket = socket;
    this.#highWater = new HighWaterMark(share);
  }

  /** Bytes that wait for the kernel. */
  get queuedBytes(): number {
    return this.#socket.writableLength + this.writer.queuedBytes;
  }

  /** False while too much waits for the kernel: the peer is slow. */
  get isWritable(): boolean {
    return this.queuedBytes < this.#highWater.mostBytes;
  }

  /** Send what has been written at the end of this tick. */
  flushSoon(): void {
    if (this.writer.queuedBytes > earlyFlushBytes) return this.flush();
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    setImmediate(() => this.flush());
  }

  /** Send it now. */
  flush(): void {
    this.#isFlushing = false;
    if (this.#isOver) return;
    const buffers = this.writer.take();
    const [first] = buffers;
    if (first && buffers.length === 1) {
      this.#socket.write(first);
    } else {
      this.#socket.cork(); // several arenas still leave in one write
      for (const buffer of buffers) this.#socket.write(buffer);
      this.#socket.uncork();
    }
    this.account();
  }

  /** The kernel may have taken some of it: memory is taken for what still waits. */
  account(): void {
    this.#highWater.account(this.queuedBytes);
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#highWater[Symbol.dispose]();
  }
}
