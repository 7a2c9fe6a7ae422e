// Requests in pieces, for tests: a pair with a handler that gets them, and iterables that tell what is asked of them.
import type { Client, Handler, RuntimeConfig } from "../../packages/runtime/src/index.ts";
import { collect, startPair, type Ask, type Pair } from "./peers.ts";

export type Upload = AsyncIterable<unknown>;
export type UploadHandler = Handler<Upload, unknown>;
export interface UploadPair extends AsyncDisposable {
  readonly pair: Pair;
  readonly client: Client<Upload, unknown>;
}

/** What may be under way of one request. */
export const windowBytes = 256 * 1024;
export const pieceBytes = 64 * 1024;

export async function startUploads(
  handler: UploadHandler,
  more: { worker?: Partial<RuntimeConfig>; caller?: Partial<RuntimeConfig> } = {},
): Promise<UploadPair> {
  const pair = await startPair({ ...more, handler: handler as unknown as Handler<Ask, unknown> });
  return {
    pair,
    client: pair.client as unknown as Client<Upload, unknown>,
    [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose](),
  };
}

/** An iterable that tells what is asked of it. */
export function watched<Item>(items: AsyncIterable<Item>) {
  const seen = { pulled: 0, isReturned: false, isDone: false };
  async function* read(): AsyncGenerator<Item, void, void> {
    try {
      for await (const item of items) {
        seen.pulled += 1;
        yield item;
      }
      seen.isDone = true;
    } finally {
      seen.isReturned = true;
    }
  }
  return { items: read(), seen };
}

export async function* pieces(count: number, size = pieceBytes): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index += 1) yield new Uint8Array(size).fill(index % 251);
}

/** A handler that returns all that it has read. */
export const gather: UploadHandler = async (upload) => collect(upload);
