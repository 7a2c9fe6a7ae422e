/** The requests under way at a server: which they are, how many may be, and the end of all of them. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { RuntimeError } from "../errors.ts";
import { createWaiters } from "../lifetime.ts";

export interface UnderWayOptions {
  /** Answers of the limited kind at a time. */
  readonly limit: number;
  /** How long nothing of an answer may leave for want of a reader, ms. */
  readonly sendTimeoutMs: number;
}

/** One for all requests of a server. */
export interface UnderWay {
  readonly limit: number;
  /** Answers that are not out. */
  readonly count: number;
  /** True while the request of this id has no whole answer: no two have the same one. */
  has(requestId: string): boolean;
  /** A request has come. @returns what aborts when its connection closes before the whole answer has been handed to the system;
   *  the connection is closed if the client leaves the answer unread. `memory` is disposed when the answer is over. */
  begin(requestId: string, response: ServerResponse, memory: Disposable): AbortController;
  /** Take a place of the limited kind until the answer is over, however it ends. @returns false if none is left. */
  takePlace(response: ServerResponse): boolean;
  /** A handler is at work, until `done`. */
  work(): void;
  done(): void;
  /** Abort all, for this reason, and those that come later before they begin. */
  abortAll(reason: RuntimeError): void;
  /** Why none is begun any more. */
  readonly over: RuntimeError | undefined;
  /** Resolves once no handler is at work. */
  none(): Promise<void>;
}

/** Create it, empty. */
export function createUnderWay({ limit, sendTimeoutMs }: UnderWayOptions): UnderWay {
  const open = new Map<string, { readonly aborter: AbortController; readonly request: IncomingMessage }>();
  const idle = createWaiters();
  let [places, working] = [0, 0];
  let over: RuntimeError | undefined;
  const leavePlace = (): void => {
    places -= 1;
  };
  return {
    limit,
    get count() {
      return open.size;
    },
    get over() {
      return over;
    },
    has: (requestId) => open.has(requestId),
    begin(requestId, response, memory) {
      const aborter = new AbortController();
      open.set(requestId, { aborter, request: response.req });
      response.on("close", () => {
        open.delete(requestId);
        memory[Symbol.dispose]();
        if (!response.writableFinished)
          aborter.abort(new RuntimeError("cancelled", "the client closed the connection"));
      });
      // Every byte that leaves begins the time anew. If none waits, it is not the client that is slow.
      response.on("timeout", (socket: Socket) => {
        if (socket.writableLength === 0) return;
        aborter.abort(
          new RuntimeError("cancelled", `the client has read nothing of its answer for ${sendTimeoutMs} ms`),
        );
        socket.destroy();
      });
      return aborter;
    },
    takePlace(response) {
      if (places >= limit) return false;
      places += 1;
      response.on("close", leavePlace);
      return true;
    },
    work() {
      working += 1;
    },
    done() {
      working -= 1;
      if (working === 0) idle.wake();
    },
    abortAll(reason) {
      over = reason;
      for (const { aborter, request } of open.values()) {
        aborter.abort(reason);
        if (!request.complete && request.listenerCount("error") > 0) request.emit("error", reason); // who reads its body hears nothing else
      }
    },
    none: () => idle.until(() => working === 0),
  };
}
