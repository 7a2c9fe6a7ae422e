/** One running request as the worker's side sees it: its items, cancellation, and the frames that answer it. */
import type { PeerConnection } from "../handler.ts";
import { RuntimeError } from "../errors.ts";
import type { Connection } from "../net/connection.ts";
import { ItemSender } from "../net/item-sender.ts";
import { encodeEnd, encodeError, type ErrorMessage, type Trailer } from "../wire/endings.ts";
import { addResponseHeaders, type ResponseHeaders } from "../trace/response-headers.ts";
import type { RequestItems } from "./request-items.ts";

// The engine's fault, whatever the encoder calls it.
const toFault = (cause: unknown): RuntimeError => new RuntimeError("internal", "an item cannot be encoded", { cause });

/** What is said of a failure beside the error itself. */
export interface FailureWords extends Pick<ErrorMessage, "retryable" | "ifIdempotent"> {
  /** False if its details cannot be sent. */
  readonly hasDetails: boolean;
}

/** One request, and the items that answer it. Its connection calls `stop` and `abort`; whoever runs it calls `end` or `fail` once. */
export class ServerStream extends ItemSender implements PeerConnection {
  readonly signal: AbortSignal;
  /** Of a request stream: its items. */
  readonly upload: RequestItems | undefined;
  /** Which request it is, once its handler is called. */
  requestId = "";
  /** When that was, ms; undefined before. */
  begunAt: number | undefined;
  /** When its time is over, ms on the same clock. */
  deadlineAt: number = Number.POSITIVE_INFINITY;
  /** What its handler has given for the HTTP answer; undefined = nothing. */
  responseHeaders: ResponseHeaders | undefined;
  #connection: Connection;
  #aborter = new AbortController();
  #stopped = false;
  #ended = false;

  constructor(connection: Connection, id: number, credit: number, upload: RequestItems | undefined) {
    super(connection, id, credit, toFault);
    this.#connection = connection;
    this.upload = upload;
    this.signal = this.#aborter.signal;
  }

  /** Its handler is called now. */
  begin(requestId: string, at: number): void {
    this.requestId = requestId;
    this.begunAt = at;
  }

  /** @throws RuntimeError `internal` on what cannot travel. */
  addResponseHeaders(headers: ResponseHeaders): void {
    this.responseHeaders = addResponseHeaders(this.responseHeaders, headers);
  }

  /** The client asked for an early, polite end. */
  get isStopped(): boolean {
    return this.#stopped;
  }

  stop(): void {
    this.#stopped = true;
    this.abort(new RuntimeError("cancelled", "stopped by the client"));
  }

  /** Nobody reads any more. Where its time is over, that is why, whoever says so first. */
  cancel(why: string, at: number, cause?: RuntimeError): void {
    if (at >= this.deadlineAt) return this.expire("no time left at the worker");
    this.abort(new RuntimeError("cancelled", why, { cause }));
  }

  /** Its time is over, by the clock of either end. */
  expire(why: string): void {
    this.abort(new RuntimeError("deadline_exceeded", why));
  }

  abort(reason: RuntimeError): void {
    if (this.#ended || this.signal.aborted) return;
    this.#aborter.abort(reason);
    this.upload?.fail(reason);
    this.stopSending();
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
