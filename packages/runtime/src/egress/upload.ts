/** A request that is sent in pieces, as its caller gives them and the worker takes them. */
import { RuntimeError } from "../errors.ts";
import { toRuntimeError } from "../thrown.ts";
import { encodeValueItem } from "../wire/items.ts";
import type { ClientStream } from "./client-stream.ts";

/** Reads what the caller gave, once a worker asks for it; from then on `stop` ends it. */
export class Upload {
  #source: AsyncIterable<unknown>;
  #items: AsyncIterator<unknown> | undefined;
  #isOver = false;

  constructor(source: AsyncIterable<unknown>) {
    this.#source = source;
  }

  /** True once an item has been asked for: no other worker can have the first ones. */
  get hasBegun(): boolean {
    return this.#items !== undefined || this.#isOver;
  }

  /** Send items over a stream as long as it is open. Never rejects: what fails is the stream. */
  async sendOver(stream: ClientStream): Promise<void> {
    const { sender } = stream;
    if (!sender) return; // for the rest of an answer a request of another kind is sent
    try {
      for (;;) {
        if (!sender.isWritable) await sender.writable();
        if (stream.isEnded) return;
        const { done, value } = await this.#next();
        if (stream.isEnded) return;
        if (done) return stream.endRequest();
        sender.send(value, encodeValueItem);
      }
    } catch (error) {
      stream.cancel("kill", toRuntimeError(error));
    }
  }

  async #next(): Promise<IteratorResult<unknown>> {
    try {
      this.#items ??= this.#source[Symbol.asyncIterator]();
      const next = await this.#items.next();
      if (next.done) this.#isOver = true;
      return next;
    } catch (cause) {
      this.#isOver = true;
      const { message } = toRuntimeError(cause);
      throw new RuntimeError("cancelled", `the request failed while it was sent: ${message}`, { cause });
    }
  }

  /** The request is over: whoever gives its items is told to stop. What has not been begun is left as it is. */
  stop(): void {
    if (this.#isOver || !this.#items) return;
    this.#isOver = true;
    void this.#leave(this.#items);
  }

  async #leave(items: AsyncIterator<unknown>): Promise<void> {
    try {
      await items.return?.();
    } catch {
      // the request has ended without it, and its caller knows how
    }
  }
}
