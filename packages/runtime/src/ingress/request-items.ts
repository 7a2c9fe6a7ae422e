/** The items of a request that comes as a stream: none is asked for before the handler reads. */
import { RuntimeError } from "../errors.ts";
import { defaultWindowBytes, ItemReceiver, type ReceiverOwner } from "../net/item-receiver.ts";

/** Of one request. Its connection calls `receive`, `end` and `wake`; `read` is for the handler. Whoever opens it disposes it. */
export class RequestItems implements Disposable {
  readonly id: number;
  /** Of items, received so far. */
  bytes = 0;
  #owner: ReceiverOwner;
  #receiver: ItemReceiver;
  #isAskedFor = false;
  #isWhole = false;

  constructor(owner: ReceiverOwner, id: number) {
    this.id = id;
    this.#owner = owner;
    this.#receiver = new ItemReceiver(owner, id, { windowBytes: defaultWindowBytes, freeBytes: 0 }); // anybody may open many
  }

  /** True once the caller has said that no more items come. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** A frame of items. @throws RuntimeError `protocol`, or `overloaded` if there is no memory for it. */
  receive(body: Buffer): void {
    if (!this.#isAskedFor) throw new RuntimeError("protocol", "items beyond the granted credit");
    this.bytes += body.length;
    this.#receiver.receive(body);
  }

  /** The caller has sent all of it. */
  end(): void {
    this.#isWhole = true;
    this.#receiver.endItems(undefined);
  }

  /** Whoever reads is told why no more comes, even if there is more. */
  fail(reason: RuntimeError): void {
    this.#receiver.abandon(reason);
  }

  wake(): void {
    this.#receiver.wake();
  }

  /** The items, once. Leaving the loop gives up what is left. */
  async *read(): AsyncGenerator<unknown, void, void> {
    if (!this.#isAskedFor && !this.#receiver.isEnded) this.#owner.sendCredit(this.id, defaultWindowBytes);
    this.#isAskedFor = true;
    try {
      for (let items = await this.#receiver.next(); items; items = await this.#receiver.next())
        for (const item of items) yield item;
    } finally {
      this.#receiver.drop();
    }
  }

  /** The request is over. */
  [Symbol.dispose](): void {
    this.fail(new RuntimeError("cancelled", "the request is over"));
  }
}
