/** Server-sent events: one write per batch, a reader that does not keep up holds its own stream, and one that would wait in silence hears a word. */
import type { ServerResponse } from "node:http";
import { maxTimerMs, type Reply } from "@dyn/runtime/internal";

/** What readers of any event stream skip: a comment; so no event, not even an empty one. */
export const keepAlive = ": keep-alive\n\n";

const headers = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  "x-accel-buffering": "no",
};

export interface EventStreamOptions {
  /** What a reader skips: sent when nothing else has been. */
  readonly keepAlive: string;
  /** After how much silence, ms; 0 = never. */
  readonly keepAliveMs: number;
  /** Monotonic clock, ms. */
  readonly now: () => number;
  /** Asked once, when the headers are sent: further ones. Default: none. */
  readonly headers?: () => Readonly<Record<string, string>> | undefined;
  /** Called once, when the headers have been sent. */
  readonly onBegin: () => void;
}

/** A stream whose headers leave with its first bytes. Disposing it ends the words against silence. */
export class EventStream implements Disposable {
  readonly #reply: Reply;
  readonly #response: ServerResponse;
  readonly #options: EventStreamOptions;
  #bytes = 0;
  #hasBegun = false;
  #wroteAt: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(reply: Reply, options: EventStreamOptions) {
    this.#reply = reply;
    this.#response = reply.response;
    this.#options = options;
    this.#wroteAt = options.now();
    if (options.keepAliveMs > 0) this.#lookIn(options.keepAliveMs);
  }

  /** Send text that already has the form of events. `at`: a reading of the clock, if there is one. Resolves when more may be sent, or nobody reads any more. */
  write(events: string, at: number = this.#options.now()): Promise<void> | undefined {
    if (events === "") return undefined;
    this.#begin();
    this.#wroteAt = at;
    this.#bytes += Buffer.byteLength(events);
    return this.#response.write(events) || this.#response.destroyed ? undefined : drained(this.#response);
  }

  end(events: string): void {
    clearTimeout(this.#timer);
    this.#begin();
    this.#bytes += Buffer.byteLength(events);
    this.#response.end(events);
  }

  /** False until the first byte: what fails may still be answered in another way. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** Written so far. */
  get bytes(): number {
    return this.#bytes;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#response.writeHead(200, { ...this.#reply.commonHeaders, ...this.#options.headers?.(), ...headers });
    this.#options.onBegin();
  }

  // Writes only note their time: the timer looks again when the silence would have been long enough without them.
  #look = (): void => {
    const { keepAlive, keepAliveMs, now } = this.#options;
    if (this.#response.destroyed) return;
    const leftMs = this.#wroteAt + keepAliveMs - now();
    if (leftMs > 0) return this.#lookIn(leftMs);
    // A client that leaves bytes waiting hears no silence, and more of them would only pile up.
    if (this.#response.writableLength === 0) void this.write(keepAlive);
    this.#lookIn(keepAliveMs);
  };

  #lookIn(ms: number): void {
    this.#timer = setTimeout(this.#look, Math.min(Math.ceil(ms), maxTimerMs));
  }
}

// "drain" never comes once the client is gone: wait for either.
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off("drain", done).off("close", done);
      resolve();
    };
    response.on("drain", done).on("close", done);
  });
}
