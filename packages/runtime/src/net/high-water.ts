/** How much may wait for a peer that reads slowly. */
import type { MemoryShare } from "../memory-budget.ts";

/** Bytes that may wait for the kernel before senders are told to pause. */
const highWaterBytes = 1024 * 1024;
/** The same while there is no memory for more; as much may wait on each connection without a question. */
const lowWaterBytes = 128 * 1024;

/** Of one connection. Takes ownership of a share of the memory for requests. */
export class HighWaterMark implements Disposable {
  readonly #share: MemoryShare;
  #isTight = false;

  constructor(share: MemoryShare) {
    this.#share = share;
  }

  /** When as much waits, senders pause. */
  get mostBytes(): number {
    return this.#isTight ? lowWaterBytes : highWaterBytes;
  }

  /** So many bytes wait now. */
  account(queuedBytes: number): void {
    const wanted = Math.max(0, queuedBytes - lowWaterBytes);
    const { bytes: taken } = this.#share;
    if (wanted <= taken) {
      this.#share.release(taken - wanted);
      this.#isTight = false;
      return;
    }
    try {
      this.#share.take(wanted - taken);
    } catch {
      this.#isTight = true; // senders wait for the peer, as for one that reads more slowly
    }
  }

  [Symbol.dispose](): void {
    this.#share[Symbol.dispose]();
  }
}
