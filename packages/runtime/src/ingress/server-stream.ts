/** One running request as the worker's side sees it: credit, cancellation, and the frames that answer it. */
import type { PeerConnection } from "../handler.ts";
import { RuntimeError } from "../errors.ts";
import type { Connection } from "../net/connection.ts";
import type { EncodeItem } from "../wire/items.ts";
import { encodeEnd, encodeError, type ErrorMessage, type Trailer } from "../wire/endings.ts";

const maxCredit = 2 ** 31;

/** What is said of a failure beside the error itself. */
export interface FailureWords extends Pick<ErrorMessage, "retryable" | "ifIdempotent"> {
  /** False if its details cannot be sent. */
  readonly hasDetails: boolean;
}

/** One request. Its connection calls `grant`, `stop`, `abort` and `wake`; whoever runs it calls `send`, and `end` or `fail` once. */
export class ServerStream implements PeerConnection {
  readonly id: number;
  readonly signal: AbortSignal;
  /** Of items, sent so far. */
  bytes = 0;
  /** Which request it is, once its handler is called. */
  requestId = "";
  /** When that was, ms; undefined before. */
  begunAt: number | undefined;
  #connection: Connection;
  #credit: number;
  #aborter = new AbortController();
  #resume: (() => void) | undefined;
  #stopped = false;
  #ended = false;

  constructor(connection: Connection, id: number, credit: number) {
    if (credit > maxCredit)
      throw new RuntimeError("protocol", `a credit of ${credit} bytes passes the limit of ${maxCredit}`);
    this.#connection = connection;
    this.id = id;
    this.#credit = credit;
    this.signal = this.#aborter.signal;
  }

  /** Its handler is called now. */
  begin(requestId: string, at: number): void {
    this.requestId = requestId;
    this.begunAt = at;
  }

  /** The client asked for an early, polite end. */
  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Queue one item. The sender waits for `writable` before. @throws RuntimeError `internal` if it cannot be encoded, `too_large` over the client's frame limit. */
  send<Item>(item: Item, encode: EncodeItem<Item>): void {
    const { writer } = this.#connection;
    const mark = writer.beginItems(this.id);
    try {
      encode(writer, item);
    } catch (cause) {
      writer.abandon(mark);
      throw new RuntimeError("internal", "an item cannot be encoded", { cause }); // the engine's fault, whatever the encoder calls it
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

  /** Resolves when more may be sent, or the request is over. */
  writable(): Promise<void> {
    if (this.isWritable || this.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  wake(): void {
    if (!this.#resume || !(this.isWritable || this.signal.aborted)) return;
    this.#resume();
    this.#resume = undefined;
  }

  grant(bytes: number): void {
    if (this.#credit + bytes > maxCredit)
      throw new RuntimeError("protocol", `CREDIT of ${bytes} bytes passes the limit of ${maxCredit}`);
    this.#credit += bytes;
    this.wake();
  }

  stop(): void {
    this.#stopped = true;
    this.abort(new RuntimeError("cancelled", "stopped by the client"));
  }

  abort(reason: RuntimeError): void {
    if (this.#ended || this.signal.aborted) return;
    this.#aborter.abort(reason);
    this.wake();
  }

  cut(): void {
    this.#connection.end(); // without GOAWAY: a loss to the peer
  }

  inject(bytes: Uint8Array): void {
    this.#connection.inject(bytes);
  }

  end(trailer: Trailer): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#connection.isClosed) return;
    encodeEnd(this.#connection.writer, this.id, trailer);
    this.#connection.flushSoon();
  }

  /** End it with an ERROR. */
  fail(error: RuntimeError, trailer: Trailer, { hasDetails, ...word }: FailureWords): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#connection.isClosed) return;
    // What an engine says about its own fault is for the log, not for the client.
    const { code, message, publicMessage, details, apiCode, param, retryAfterMs } = error;
    const said = code === "internal" ? "the worker failed" : (publicMessage ?? message);
    encodeError(this.#connection.writer, this.id, {
      code,
      message: said,
      details: hasDetails ? details : undefined,
      apiCode,
      param,
      retryAfterMs,
      ...word,
      produced: trailer.items > 0,
      trailer,
    });
    this.#connection.flushSoon();
  }
}
