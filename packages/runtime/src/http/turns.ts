/** Whose turn it is among requests that follow each other on a connection without waiting for the answers (pipelining, RFC 9112 section 9.3.2).
 *  A few are handled at a time, the others wait, and nothing more is read until they have had their turn. A few of all that wait are handled in one round
 *  of the event loop: in between, other connections are heard. */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { readOn } from "./slices.ts";

/** Requests of one connection that are handled at a time, and of all that waited in one round of the event loop. */
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
  take(queue: Queue, turn: Turn): boolean;
  /** An answer is out: the next ones have their turn soon. */
  goOn(queue: Queue, socket: Socket): void;
  /** A request that waits will not be handled. @returns false if it does not wait. */
  drop(queue: Queue, response: ServerResponse): boolean;
  /** Nobody waits any more. */
  clear(queue: Queue): void;
}

export function createTurns(): Turns {
  let waiting = 0;
  const next = new Map<Queue, Socket>(); // who has a turn in the next round, in this order
  let isScheduled = false;
  const schedule = (): void => {
    if (isScheduled || next.size === 0) return;
    isScheduled = true;
    setImmediate(goRound);
  };
  const handleNext = (queue: Queue, socket: Socket): void => {
    const turn = queue.waiting.shift();
    if (!turn) return;
    waiting -= 1;
    if (queue.waiting.length === 0) readOn(socket); // its body may still have to come
    turn.handle();
  };
  const goRound = (): void => {
    isScheduled = false;
    let left = maxHandled;
    for (const [queue, socket] of next) {
      next.delete(queue);
      handleNext(queue, socket);
      if (hasTurn(queue)) next.set(queue, socket); // behind the others
      left -= 1;
      if (left === 0) break;
    }
    schedule();
  };
  return {
    take(queue, turn) {
      if (queue.waiting.length === 0 && queue.open.size <= maxHandled) turn.handle();
      else if (waiting >= maxWaiting) return false;
      else {
        waiting += 1;
        queue.waiting.push(turn);
      }
      return true;
    },
    goOn(queue, socket) {
      if (!hasTurn(queue) || next.has(queue)) return;
      next.set(queue, socket);
      schedule();
    },
    drop({ waiting: queue }, response) {
      const at = queue.findIndex((turn) => turn.response === response);
      if (at < 0) return false;
      waiting -= 1;
      queue.splice(at, 1);
      return true;
    },
    clear(queue) {
      waiting -= queue.waiting.length;
      queue.waiting.length = 0;
      next.delete(queue);
    },
  };
}

function hasTurn({ waiting, open }: Queue): boolean {
  return waiting.length > 0 && open.size - waiting.length < maxHandled;
}
