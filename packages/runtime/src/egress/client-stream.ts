/** One answer on its way over a connection, and how it ended; of a request stream also what goes the other way. */
import { RuntimeError } from "../errors.ts";
import { ItemReceiver, type ReceiverOwner } from "../net/item-receiver.ts";
import type { ItemSender } from "../net/item-sender.ts";
import type { Trailer } from "../wire/endings.ts";
import type { CancelMode } from "../wire/messages.ts";

/** A worker takes more for a fault. */
export const maxWindowBytes: number = 2 ** 31 - 1;

/** What a stream needs of its connection. */
export interface StreamOwner extends ReceiverOwner {
  sendCancel(id: number, mode: CancelMode): void;
  /** No more items of a request stream follow. */
  sendEnd(id: number): void;
  /** The stream is over. */
  forget(id: number): void;
}

/** Of one request. */
export interface StreamOptions {
  /** Bytes of items that may be under way. */
  readonly windowBytes: number;
  /** The worker may be gone already: it was silent when the request was sent, or it is asked for a sign of life with it. */
  readonly isUnheard: boolean;
  /** Of a request stream: its items. */
  readonly sender: ItemSender | undefined;
}

type Ending =
  | { type: "end"; trailer: Partial<Trailer> }
  | { type: "error"; error: RuntimeError; trailer?: Partial<Trailer> };

/** One answer on its way. Read it as an `ItemReceiver`. Whoever opens it disposes it. */
export class ClientStream extends ItemReceiver {
  /** True if nothing tells that the worker was there when the request came. */
  isUnheard: boolean;
  /** Of a request stream: its items. */
  readonly sender: ItemSender | undefined;
  #owner: StreamOwner;
  #end: Ending | undefined;

  constructor(owner: StreamOwner, id: number, { windowBytes, isUnheard, sender }: StreamOptions) {
    super(owner, id, { windowBytes, freeBytes: 2 * windowBytes }); // a window that is unread and one that is in use are small, and whoever has many streams counts them
    this.#owner = owner;
    this.isUnheard = isUnheard;
    this.sender = sender;
  }

  /** What the worker reported at the end; empty until then and after a lost connection. */
  get trailer(): Partial<Trailer> {
    return this.#end?.trailer ?? {};
  }

  /** Say that no more is wanted. `stop` still delivers what is under way; `kill` ends the stream here and now. */
  cancel(mode: "stop" | "kill", reason: RuntimeError): void {
    if (this.isEnded) return;
    // Only this end knows that the time is over: the worker's own clock runs a little behind.
    this.#owner.sendCancel(this.id, mode === "kill" && reason.code === "deadline_exceeded" ? "expired" : mode);
    if (mode === "kill") {
      this.finish({ type: "error", error: reason });
      this.wake();
    }
  }

  /** The request stream has no more items. */
  endRequest(): void {
    if (!this.isEnded) this.#owner.sendEnd(this.id);
  }

  /** For the connection: the worker was there when the request came. */
  heard(): void {
    this.isUnheard = false;
  }

  /** For the connection: the worker takes so many bytes more of a request stream. @throws RuntimeError `protocol` if it is none. */
  grant(bytes: number): void {
    if (!this.sender) throw new RuntimeError("protocol", "CREDIT for a request that is no stream");
    this.sender.grant(bytes);
  }

  /** For the connection: the stream is over. */
  finish(ending: Ending): void {
    if (this.isEnded) return;
    this.#end = ending;
    this.endItems(ending.type === "error" ? ending.error : undefined);
    this.sender?.stopSending();
    this.#owner.forget(this.id);
  }
}
