/** Connections that have not shown yet what they are here for. They have places of their own, so that they cannot take those of callers that have. */
import type { Socket } from "node:net";
import { formatEnds } from "./address.ts";

/** How many connections there may be. */
export interface StrangersOptions {
  /** Strangers at a time. */
  readonly maxStrangers: number;
  /** Connections at a time that are none any more. */
  readonly maxKnown: number;
  /** Called before a stranger is closed because there are too many. */
  readonly onCrowded: (oldest: Socket) => void;
}

/** Of one port. */
export interface Strangers {
  /** A connection has come in: a stranger. If there are too many, one of the address that has the most of them is closed, the oldest: who is quick passes a flood. */
  enter(socket: Socket): void;
  /** It is none any more; of a TLS connection either socket will do. @returns false if there are more of those now than there may be: somebody has to go. */
  admit(socket: Socket): boolean;
}

/** Create it, empty. */
export function createStrangers({ maxStrangers, maxKnown, onCrowded }: StrangersOptions): Strangers {
  const byAddress = new Map<string, Map<string, Socket>>(); // of each the oldest first
  const known = new Map<string, Socket>();
  let count = 0;
  // @returns who has left; undefined if nobody with these ends was there.
  const leave = (address: string, ends: string): Socket | undefined => {
    const neighbours = byAddress.get(address);
    const stranger = neighbours?.get(ends);
    if (!neighbours?.delete(ends)) return undefined;
    count -= 1;
    if (neighbours.size === 0) byAddress.delete(address);
    return stranger;
  };
  const forget = (socket: Socket, { address, ends }: Names): void => {
    if (byAddress.get(address)?.get(ends) === socket) leave(address, ends);
    if (known.get(ends) === socket) known.delete(ends);
  };
  const makeRoom = (): void => {
    const [address, neighbours] = [...byAddress].reduce((most, each) => (each[1].size > most[1].size ? each : most));
    for (const [ends, oldest] of neighbours) {
      leave(address, ends);
      onCrowded(oldest);
      oldest.destroy();
      return;
    }
  };
  return {
    enter(socket) {
      if (socket.remoteAddress === undefined) return void socket.destroy(); // it has gone already
      const names = toNames(socket);
      const { address, ends } = names;
      // Whoever had these ends before has gone, though the system has told of the new one first.
      leave(address, ends);
      known.delete(ends);
      const neighbours = byAddress.get(address) ?? new Map<string, Socket>();
      byAddress.set(address, neighbours.set(ends, socket));
      count += 1;
      socket.once("close", () => forget(socket, names));
      if (count > maxStrangers) makeRoom();
    },
    admit(socket) {
      const { address, ends } = toNames(socket);
      const stranger = leave(address, ends);
      if (stranger) known.set(ends, stranger); // else it has gone
      return known.size <= maxKnown;
    },
  };
}

interface Names {
  readonly address: string;
  readonly ends: string;
}

function toNames(socket: Socket): Names {
  return { address: socket.remoteAddress ?? "?", ends: formatEnds(socket) };
}
