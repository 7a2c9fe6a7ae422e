/** What a handler or an engine gave for a request, as items: those of an async generator, or the one of an async function. */
import { RuntimeError } from "./errors.ts";

/** Read it with `for await`, then call `end`. `who` begins the sentence about what is wrong with it. */
export class GivenItems<Item> implements AsyncIterable<Item>, AsyncIterator<Item, void> {
  #who: string;
  #items: AsyncIterator<Item, unknown>;
  #last: Promise<IteratorResult<Item, unknown>> | undefined;

  constructor(given: AsyncIterable<Item> | Promise<Item>, who: string) {
    this.#who = who;
    this.#items = toItems(given)[Symbol.asyncIterator]();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Item, void>> {
    const next = this.#items.next();
    this.#last = next;
    return next as Promise<IteratorResult<Item, void>>; // `end` looks at the value of the last one
  }

  async return(): Promise<IteratorResult<Item, void>> {
    await this.#items.return?.();
    return { done: true, value: undefined };
  }

  /** After the last item. @throws RuntimeError `internal` if a generator has returned a value, which no loop ever sees. */
  async end(): Promise<void> {
    const last = await this.#last;
    if (!last?.done || last.value === undefined) return;
    throw new RuntimeError(
      "internal",
      `${this.#who} is a generator and returned a value, which would be lost: yield it`,
    );
  }
}

/** Items of what was given, which may be anything in plain JavaScript: of a promise, the items it comes to, because `async () => generate()` is easily written, or else the one item that it is. */
export function toItems<Item>(given: AsyncIterable<Item> | Promise<Item>): AsyncIterable<Item, unknown> {
  if (isAsyncIterable<Item>(given)) return given;
  const settled = Promise.resolve(given);
  settled.catch(() => undefined); // if nobody reads the items, for example of a request that is full already
  return awaitItems<Item>(settled);
}

async function* awaitItems<Item>(promised: Promise<unknown>): AsyncGenerator<Item, unknown, void> {
  const value = await promised;
  if (isAsyncIterable<Item>(value)) return yield* value;
  yield value as Item; // the handler's claim
  return undefined;
}

/** True for a stream and a generator, whatever it gives. */
export function isAsyncIterable<Item>(value: unknown): value is AsyncIterable<Item, unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
