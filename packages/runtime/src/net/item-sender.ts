/** Items on their way out over one stream, whichever end writes them: as many as the reader has given credit for, and the socket takes. */
import { RuntimeError } from "../errors.ts";
import type { EncodeItem } from "../wire/items.ts";
import type { Connection } from "./connection.ts";

const maxCredit = 2 ** 31;

/** Of one stream. Its connection calls `grant` and `wake`; whoever has the items waits for `writable` and calls `send`. */
export class ItemSender {
  readonly id: number;
  /** Of items, sent so far. */
  bytes = 0;
  #connection: Connection;
  #credit: number;
  #toError: (cause: unknown) => RuntimeError;
  #resume: (() => void) | undefined;
  #isOver = false;

  /** `toError`: what `send` throws where an item cannot be encoded. */
  constructor(connection: Connection, id: number, credit: number, toError: (cause: unknown) => RuntimeError) {
    if (credit > maxCredit)
      throw new RuntimeError("protocol", `a credit of ${credit} bytes passes the limit of ${maxCredit}`);
    this.#connection = connection;
    this.id = id;
    this.#credit = credit;
    this.#toError = toError;
  }

  /** Queue one item. The sender waits for `writable` before. @throws RuntimeError if it cannot be encoded, `too_large` over the reader's frame limit. */
  send<Item>(item: Item, encode: EncodeItem<Item>): void {
    const { writer } = this.#connection;
    const mark = writer.beginItems(this.id);
    try {
      encode(writer, item);
    } catch (cause) {
      writer.abandon(mark);
      throw this.#toError(cause);
    }
    const bytes = writer.endItems(this.id, mark);
    this.#credit -= bytes;
    this.bytes += bytes;
    this.#connection.flushSoon();
  }

  /** False while the reader gives no credit, or too much waits for the socket. */
  get isWritable(): boolean {
    return this.#credit > 0 && this.#connection.isWritable;
  }

  /** Resolves when more may be sent, or nobody wants it any more. */
  writable(): Promise<void> {
    if (this.isWritable || this.#isOver) return Promise.resolve();
    return new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  wake(): void {
    if (!this.#resume || !(this.isWritable || this.#isOver)) return;
    this.#resume();
    this.#resume = undefined;
  }

  /** @throws RuntimeError `protocol` if there is more credit than anybody needs. */
  grant(bytes: number): void {
    if (this.#credit + bytes > maxCredit)
      throw new RuntimeError("protocol", `CREDIT of ${bytes} bytes passes the limit of ${maxCredit}`);
    this.#credit += bytes;
    this.wake();
  }

  /** Nothing more is to be sent. */
  stopSending(): void {
    this.#isOver = true;
    this.wake();
  }
}
