/** One answer on its way over a connection: items until they are read, credit as they are, and how it ended. */
import { RuntimeError } from "../errors.ts";
import { decodeItems } from "../wire/items.ts";
import type { CancelMode, Trailer } from "../wire/messages.ts";

/** Bytes of items a worker may have under way on one stream. */
export const windowBytes: number = 256 * 1024;

/** What a stream needs of its connection. */
export interface StreamOwner {
  sendCancel(id: number, mode: CancelMode): void;
  sendCredit(id: number, bytes: number): void;
  /** The stream is over. */
  forget(id: number): void;
}

type Ending = { type: "end"; trailer: Partial<Trailer> } | { type: "error"; error: RuntimeError; trailer?: Partial<Trailer> };

/** One answer on its way. Read it with `next` until undefined; an error is thrown once the items before it have been read. */
export class ClientStream {
  readonly id: number;
  /** The worker was silent already when the request was sent. */
  readonly isUnheard: boolean;
  /** True once an item has arrived. */
  produced = false;
  #owner: StreamOwner;
  #items: unknown[] = [];
  #heldBytes = 0;
  #ungranted = 0;
  #ending: Ending | undefined;
  #waiter: { resolve: (items: unknown[] | undefined) => void; reject: (error: RuntimeError) => void } | undefined;

  constructor(owner: StreamOwner, id: number, isUnheard: boolean) {
    this.#owner = owner;
    this.id = id;
    this.isUnheard = isUnheard;
  }

  /** What the worker reported at the end; empty until then and after a lost connection. */
  get trailer(): Partial<Trailer> {
    return this.#ending?.trailer ?? {};
  }

  get isEnded(): boolean {
    return this.#ending !== undefined;
  }

  /** All items that have arrived since the last call, at least one; undefined after the last. One call at a time. */
  next(): Promise<unknown[] | undefined> {
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

  #take(): unknown[] {
    const items = this.#items;
    this.#items = [];
    this.#ungranted += this.#heldBytes;
    this.#heldBytes = 0;
    if (this.#ungranted >= windowBytes / 2 && !this.#ending) {
      this.#owner.sendCredit(this.id, this.#ungranted);
      this.#ungranted = 0;
    }
    return items;
  }

  /** For the connection: a frame of items. */
  receive(body: Buffer): void {
    // One frame may pass the window (credit only has to be positive), two may not.
    if (this.#heldBytes + this.#ungranted > windowBytes) throw new RuntimeError("protocol", "items beyond the granted credit");
    const before = this.#items.length;
    try {
      decodeItems(body, this.#items);
    } finally {
      this.produced ||= this.#items.length > before; // those before a bad one are handed up
    }
    this.#heldBytes += body.length;
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
