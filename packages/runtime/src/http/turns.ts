/** Whose turn it is among requests that follow each other on a connection without waiting for the answers (pipelining, RFC 9112 section 9.3.2).
 *  Node's parser hands on all that it finds in what it has read, some thousand requests of 64 KiB: a few are handled at a time, the others wait,
 *  and nothing more is read until they have had their turn. */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Requests of one connection that are handled at a time. */
export const maxHandled = 8;
/** Requests of all connections that wait for their turn. */
const maxWaiting = 10_000;

export interface Turn {
  readonly response: ServerResponse;
  readonly handle: () => void;
}

export interface Queue {
  /** Handled or waiting. */
  readonly open: ReadonlySet<ServerResponse>;
  readonly waiting: Turn[];
}

export interface Turns {
  /** Of a request that is open now. @returns false if it can neither be handled nor wait. */
  take(queue: Queue, socket: Socket, turn: Turn): boolean;
  /** An answer is out: the next ones have their turn. */
  goOn(queue: Queue, socket: Socket): void;
  /** A request that waits will not be handled. @returns false if it does not wait. */
  drop(queue: Queue, response: ServerResponse): boolean;
  /** Nobody waits any more. */
  clear(queue: Queue): void;
}

export function createTurns(): Turns {
  let waiting = 0;
  return {
    take({ open, waiting: queue }, socket, turn) {
      if (queue.length === 0 && open.size <= maxHandled) turn.handle();
      else if (waiting >= maxWaiting) return false;
      else {
        waiting += 1;
        queue.push(turn);
        socket.pause();
      }
      return true;
    },
    goOn({ open, waiting: queue }, socket) {
      while (queue.length > 0 && open.size - queue.length < maxHandled) {
        waiting -= 1;
        const turn = queue.shift();
        if (queue.length === 0) socket.resume(); // its body may still have to come
        turn?.handle();
      }
    },
    drop({ waiting: queue }, response) {
      const at = queue.findIndex((turn) => turn.response === response);
      if (at < 0) return false;
      waiting -= 1;
      queue.splice(at, 1);
      return true;
    },
    clear({ waiting: queue }) {
      waiting -= queue.length;
      queue.length = 0;
    },
  };
}

/** Node reads on when it is done with a request: not while others wait. */
export function staysPaused({ waiting }: Queue, socket: Socket): void {
  socket.on("resume", () => {
    if (waiting.length > 0) socket.pause();
  });
}
