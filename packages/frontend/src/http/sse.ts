/** Server-sent events: one write per batch, and a reader that does not keep up holds its own stream. */
import type { ServerResponse } from "node:http";

export interface EventStream {
  /** Send text that already has the form of events. Resolves when more may be sent, or nobody reads any more. */
  write(events: string): Promise<void> | undefined;
  end(events: string): void;
  /** Written so far. */
  readonly bytes: number;
}

/** Send the headers and open the stream. */
export function openEventStream(response: ServerResponse): EventStream {
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-accel-buffering": "no" });
  let bytes = 0;
  return {
    write(events) {
      bytes += Buffer.byteLength(events);
      return response.write(events) || response.destroyed ? undefined : drained(response);
    },
    end(events) {
      bytes += Buffer.byteLength(events);
      response.end(events);
    },
    get bytes() {
      return bytes;
    },
  };
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
