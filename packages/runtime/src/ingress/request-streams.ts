/** Requests that come in pieces over one connection: their frames, and the credit for more. */
import { RuntimeError } from "../errors.ts";
import type { MemoryBudget } from "../memory-budget.ts";
import type { Connection } from "../net/connection.ts";
import type { ReceiverOwner } from "../net/item-receiver.ts";
import { toRuntimeError } from "../thrown.ts";
import { frameTypeName, frameTypes, type FrameType } from "../wire/frames.ts";
import { decodeRequestEnd, encodeCredit } from "../wire/messages.ts";
import type { RequestItems } from "./request-items.ts";
import type { ServerStream } from "./server-stream.ts";

/** Of one connection, whose streams these are. */
export class RequestStreams implements ReceiverOwner {
  readonly memory: MemoryBudget;
  #connection: Connection;
  #streams: ReadonlyMap<number, ServerStream>;
  #touched = new Set<RequestItems>();

  constructor(connection: Connection, memory: MemoryBudget, streams: ReadonlyMap<number, ServerStream>) {
    this.#connection = connection;
    this.memory = memory;
    this.#streams = streams;
  }

  /** ITEMS or END of a stream that is open. @throws RuntimeError `protocol` on one that is out of order; what is wrong with items costs their stream alone. */
  frame(stream: ServerStream, type: FrameType, body: Buffer): void {
    const { upload } = stream;
    if (!upload) throw new RuntimeError("protocol", `${frameTypeName(type)} of a request that is no stream`);
    if (upload.isWhole) throw new RuntimeError("protocol", `${frameTypeName(type)} after the END of a request`);
    this.#touched.add(upload);
    if (type === frameTypes.END) {
      decodeRequestEnd(body);
      return upload.end();
    }
    try {
      upload.receive(body);
    } catch (error) {
      this.refuseItems(stream.id, toRuntimeError(error)); // framing still holds
    }
  }

  /** All frames of one chunk have been handed over. */
  wake(): void {
    if (this.#touched.size === 0) return;
    for (const upload of this.#touched) upload.wake();
    this.#touched.clear();
  }

  sendCredit(id: number, bytes: number): void {
    if (!this.#connection.isOpen) return;
    encodeCredit(this.#connection.writer, id, bytes);
    this.#connection.flushSoon();
  }

  refuseItems(id: number, { code, message }: RuntimeError): void {
    this.#streams.get(id)?.abort(new RuntimeError(code, `request stream refused: ${message}`));
  }
}
