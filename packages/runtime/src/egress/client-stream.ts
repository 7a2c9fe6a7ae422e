/** One answer on its way over a connection: items until they are read, credit as they are, and how it ended. */
import { RuntimeError } from "../errors.ts";
import { toRuntimeError } from "../thrown.ts";
import { requestFactor, type MemoryBudget, type MemoryShare } from "../memory-budget.ts";
import { decodeItems } from "../wire/items.ts";
import type { Trailer } from "../wire/endings.ts";
import type { CancelMode } from "../wire/messages.ts";

/** Bytes of items a worker may have under way on one stream, unless the reader wants it otherwise. */
export const defaultWindowBytes: number = 256 * 1024;
/** A worker takes more for a fault. */
export const maxWindowBytes: number = 2 ** 31 - 1;
/** Items handed up at a time: what becomes of them is many times their size, and waits until it has been read. */
const maxItems = 256;
const nothing = Buffer.alloc(0);

/** What a stream needs of its connection. */
export interface StreamOwner {
  /** For what passes the window. */
  readonly memory: MemoryBudget;
  sendCancel(id: number, mode: CancelMode): void;
  sendCredit(id: number, bytes: number): void;
  /** The stream is over. */
  forget(id: number): void;
}

/** Of one request. */
export interface StreamOptions {
  /** Bytes of items that may be under way. */
  readonly windowBytes: number;
  /** The worker may be gone already: it was silent when the request was sent, or it is asked for a sign of life with it. */
  readonly isUnheard: boolean;
}

type Ending =
  | { type: "end"; trailer: Partial<Trailer> }
  | { type: "error"; error: RuntimeError; trailer?: Partial<Trailer> };

/** One answer on its way. Read it with `next` until undefined; an error is thrown once the items before it have been read. Whoever opens it disposes it. */
export class ClientStream implements Disposable {
  readonly id: number;
  /** True if nothing tells that the worker was there when the request came. */
  isUnheard: boolean;
  /** True once an item has been read. */
  produced = false;
  #owner: StreamOwner;
  #windowBytes: number;
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
  #ending: Ending | undefined;
  #waiter: { resolve: (items: unknown[] | undefined) => void; reject: (error: RuntimeError) => void } | undefined;

  constructor(owner: StreamOwner, id: number, { windowBytes, isUnheard }: StreamOptions) {
    this.#owner = owner;
    this.id = id;
    this.isUnheard = isUnheard;
    this.#windowBytes = windowBytes;
  }

  /** What the worker reported at the end; empty until then and after a lost connection. */
  get trailer(): Partial<Trailer> {
    return this.#ending?.trailer ?? {};
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
    if (ending?.type === "error") return Promise.reject(ending.error);
    if (ending) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  /** Say that no more is wanted. `stop` still delivers what is under way; `kill` ends the stream here and now. */
  cancel(mode: CancelMode, reason: RuntimeError): void {
    if (this.#ending) return;
    this.#owner.sendCancel(this.id, mode);
    if (mode === "kill") {
      this.finish({ type: "error", error: reason });
      this.wake();
    }
  }

  /** For the connection: the worker was there when the request came. */
  heard(): void {
    this.isUnheard = false;
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

  /** For the connection: a frame of items. @throws RuntimeError `protocol`, or `overloaded` if there is no memory for what passes the window. */
  receive(body: Buffer): void {
    // One frame may pass the window (credit only has to be positive), two may not.
    if (this.#unreadBytes + this.#ungranted > this.#windowBytes)
      throw new RuntimeError("protocol", "items beyond the granted credit");
    this.#account(body.length);
    this.#unreadBytes += body.length;
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
      this.#drop();
      const { trailer } = this;
      const failure = toRuntimeError(error);
      this.cancel("kill", failure);
      this.#ending = { type: "error", error: failure, trailer }; // also of one that has ended well before it was read
    }
    if (this.#heldAt === this.#heldEnd) this.#drop();
  }

  #drop(): void {
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

  // A window that is unread and one that is in use are small, and whoever has many streams counts them.
  #account(more = 0): void {
    const wanted = requestFactor * Math.max(0, this.#unreadBytes + this.#handedBytes + more - 2 * this.#windowBytes);
    const taken = this.#share?.bytes ?? 0;
    if (wanted === taken) return;
    this.#share ??= this.#owner.memory.open();
    if (wanted > taken) this.#share.take(wanted - taken);
    else this.#share.release(taken - wanted);
  }

  /** Nobody reads it any more: what has been taken for it is given back. */
  [Symbol.dispose](): void {
    this.#share?.[Symbol.dispose]();
    this.#drop();
  }

  /** For the connection: the stream is over. */
  finish(ending: Ending): void {
    if (this.#ending) return;
    this.#ending = ending;
    this.#owner.forget(this.id);
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
      if (this.#ending.type === "error") waiter.reject(this.#ending.error);
      else waiter.resolve(undefined);
    }
  }
}
