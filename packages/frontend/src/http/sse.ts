/** Server-sent events: one write per batch, and a reader that does not keep up holds its own stream. */
import type { ServerResponse } from "node:http";
import type { Reply } from "./reply.ts";

const headers = { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-accel-buffering": "no" };

/** An open stream. Creating it sends the headers. */
export class EventStream {
  readonly #response: ServerResponse;
  #bytes = 0;

  constructor({ response, idHeaders }: Reply) {
    response.writeHead(200, { ...idHeaders, ...headers });
    this.#response = response;
  }

  /** Send text that already has the form of events. Resolves when more may be sent, or nobody reads any more. */
  write(events: string): Promise<void> | undefined {
    this.#bytes += Buffer.byteLength(events);
    return this.#response.write(events) || this.#response.destroyed ? undefined : drained(this.#response);
  }

  end(events: string): void {
    this.#bytes += Buffer.byteLength(events);
    this.#response.end(events);
  }

  /** Written so far. */
  get bytes(): number {
    return this.#bytes;
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
