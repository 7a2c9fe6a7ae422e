/** Items on their way in over one stream, whichever end reads them: held as they came until they are read, and credit as they are. */
import { RuntimeError } from "../errors.ts";
import { toRuntimeError } from "../thrown.ts";
import { requestFactor, type MemoryBudget, type MemoryShare } from "../memory-budget.ts";
import { decodeItems } from "../wire/items.ts";

/** Bytes of items that may be under way on one stream, unless its reader wants it otherwise. */
export const defaultWindowBytes: number = 256 * 1024;
/** Items handed up at a time: what becomes of them is many times their size, and waits until it has been read. */
const maxItems = 256;
const nothing = Buffer.alloc(0);

/** What a stream that is read needs of its connection. */
export interface ReceiverOwner {
  readonly memory: MemoryBudget;
  sendCredit(id: number, bytes: number): void;
  /** Items cannot be read: no more of them are wanted. */
  refuseItems(id: number, error: RuntimeError): void;
}

/** Of one stream. */
export interface ReceiverOptions {
  /** Bytes of items that may be under way. */
  readonly windowBytes: number;
  /** Bytes that are held without a question; memory is taken for more. */
  readonly freeBytes: number;
}

/** Read it with `next` until undefined; an error is thrown once the items before it have been read. Whoever opens it disposes it. */
export class ItemReceiver implements Disposable {
  readonly id: number;
  /** True once an item has been read. */
  produced = false;
  #owner: ReceiverOwner;
  #windowBytes: number;
  #freeBytes: number;
  // Of the chunk that is being received, for a reader that waits.
  #items: unknown[] = [];
  // Items as they came, from `#heldAt` on: as objects they would take ten times as much.
  #held: Buffer = nothing;
  #heldAt = 0;
  #heldEnd = 0;
  #unreadBytes = 0;
  /** Of the items handed up last: they are in use until more is asked for. */
  #handedBytes = 0;
  #ungranted = 0;
  #share: MemoryShare | undefined;
  #isDropping = false;
  #ending: { readonly error: RuntimeError | undefined } | undefined;
  #waiter: { resolve: (items: unknown[] | undefined) => void; reject: (error: RuntimeError) => void } | undefined;

  constructor(owner: ReceiverOwner, id: number, { windowBytes, freeBytes }: ReceiverOptions) {
    this.#owner = owner;
    this.id = id;
    this.#windowBytes = windowBytes;
    this.#freeBytes = freeBytes;
  }

  get isEnded(): boolean {
    return this.#ending !== undefined;
  }

  /** Items that have arrived, at least one and at most 256; undefined after the last. One call at a time. */
  next(): Promise<unknown[] | undefined> {
    this.#handedBytes = 0;
    this.#account();
    if (this.#heldEnd > this.#heldAt) this.#decodeHeld();
    if (this.#items.length > 0) return Promise.resolve(this.#take());
    const ending = this.#ending;
    if (ending?.error) return Promise.reject(ending.error);
    if (ending) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  /** Nobody reads any more: what has come is given up, and what is still under way. */
  drop(): void {
    this.#isDropping = true;
    this[Symbol.dispose]();
  }

  /** The same, and whoever reads is told why, also of items that have come whole. */
  abandon(reason: RuntimeError): void {
    this.drop();
    this.#items = [];
    this.#ending = { error: reason };
    this.wake();
  }

  #take(): unknown[] {
    const items = this.#items;
    this.#items = [];
    this.produced = true;
    if (this.#ungranted >= this.#windowBytes / 2 && !this.#ending) {
      this.#owner.sendCredit(this.id, this.#ungranted);
      this.#ungranted = 0;
    }
    return items;
  }

  /** For the connection: a frame of items. @throws RuntimeError `protocol`, or `overloaded` if there is no memory for it. */
  receive(body: Buffer): void {
    // One frame may pass the window (credit only has to be positive), two may not.
    if (this.#unreadBytes + this.#ungranted > this.#windowBytes)
      throw new RuntimeError("protocol", "items beyond the granted credit");
    if (!this.#isDropping) this.#account(body.length);
    this.#unreadBytes += body.length;
    if (this.#isDropping) return;
    const at = this.#waiter && this.#heldEnd === this.#heldAt ? this.#decode(body) : 0;
    if (at < body.length) this.#hold(body, at);
  }

  // @returns where the first item begins that is one too many.
  #decode(body: Buffer): number {
    const at = decodeItems(body, this.#items, maxItems - this.#items.length);
    this.#unreadBytes -= at;
    this.#handedBytes += at;
    this.#ungranted += at;
    return at;
  }

  #decodeHeld(): void {
    try {
      this.#heldAt += this.#decode(this.#held.subarray(this.#heldAt, this.#heldEnd));
    } catch (error) {
      this.#clear();
      const failure = toRuntimeError(error);
      this.#owner.refuseItems(this.id, failure);
      this.#ending = { error: failure }; // also of one that has ended well before it was read
    }
    if (this.#heldAt === this.#heldEnd) this.#clear();
  }

  #clear(): void {
    this.#held = nothing;
    this.#heldAt = 0;
    this.#heldEnd = 0;
  }

  // The body is copied: it lives no longer than its chunk. In one buffer, since each frame may have a few bytes only.
  #hold(body: Buffer, at: number): void {
    const held = this.#heldEnd - this.#heldAt;
    const bytes = held + body.length - at;
    if (this.#heldEnd + body.length - at > this.#held.length) {
      const room =
        bytes > this.#held.length
          ? Buffer.allocUnsafeSlow(Math.max(bytes, Math.min(2 * bytes, this.#windowBytes)))
          : this.#held;
      this.#held.copy(room, 0, this.#heldAt, this.#heldEnd);
      [this.#held, this.#heldAt, this.#heldEnd] = [room, 0, held];
    }
    body.copy(this.#held, this.#heldEnd, at);
    this.#heldEnd += body.length - at;
  }

  #account(more = 0): void {
    const wanted = requestFactor * Math.max(0, this.#unreadBytes + this.#handedBytes + more - this.#freeBytes);
    const taken = this.#share?.bytes ?? 0;
    if (wanted === taken) return;
    this.#share ??= this.#owner.memory.open();
    if (wanted > taken) this.#share.take(wanted - taken);
    else this.#share.release(taken - wanted);
  }

  /** Nobody reads it any more: what has been taken for it is given back. */
  [Symbol.dispose](): void {
    this.#share?.[Symbol.dispose]();
    this.#clear();
  }

  /** No more items come; `error` is why, if they do not end well. The first end counts. */
  endItems(error: RuntimeError | undefined): void {
    this.#ending ??= { error };
  }

  /** For the connection: everything of a chunk has been received. */
  wake(): void {
    const waiter = this.#waiter;
    if (!waiter) return;
    if (this.#items.length > 0) {
      this.#waiter = undefined;
      waiter.resolve(this.#take());
    } else if (this.#ending) {
      this.#waiter = undefined;
      if (this.#ending.error) waiter.reject(this.#ending.error);
      else waiter.resolve(undefined);
    }
  }
}
