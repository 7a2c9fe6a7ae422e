/** Connections that have not shown yet what they are here for. They have places of their own, so that they cannot take those of callers that have. */
import type { Socket } from "node:net";
import { formatHostPort } from "./address.ts";

export interface StrangersOptions {
  /** Strangers at a time. */
  readonly maxStrangers: number;
  /** Connections at a time that are none any more. */
  readonly maxKnown: number;
  /** Called before a stranger is closed because there are too many. */
  readonly onCrowded: (oldest: Socket) => void;
}

export interface Strangers {
  /** A connection has come in: a stranger. If there are too many, one of the address that has the most of them is closed, the oldest: who is quick passes a flood. */
  enter(socket: Socket): void;
  /** It is none any more; of a TLS connection either socket will do. @returns false if there are more of those now than there may be: somebody has to go. */
  admit(socket: Socket): boolean;
}

/** Create it, empty. */
export function createStrangers({ maxStrangers, maxKnown, onCrowded }: StrangersOptions): Strangers {
  const byAddress = new Map<string, Map<string, Socket>>(); // of each the oldest first
  const known = new Set<string>();
  let count = 0;
  const leave = (address: string, name: string): boolean => {
    const neighbours = byAddress.get(address);
    if (!neighbours?.delete(name)) return false;
    count -= 1;
    if (neighbours.size === 0) byAddress.delete(address);
    return true;
  };
  const makeRoom = (): void => {
    const [address, neighbours] = [...byAddress].reduce((most, each) => (each[1].size > most[1].size ? each : most));
    for (const [name, oldest] of neighbours) {
      leave(address, name);
      onCrowded(oldest);
      oldest.destroy();
      return;
    }
  };
  return {
    enter(socket) {
      if (socket.remoteAddress === undefined) return void socket.destroy(); // it has gone already
      const { address, name } = toNames(socket);
      const neighbours = byAddress.get(address) ?? new Map<string, Socket>();
      byAddress.set(address, neighbours.set(name, socket));
      count += 1;
      socket.once("close", () => {
        leave(address, name);
        known.delete(name);
      });
      if (count > maxStrangers) makeRoom();
    },
    admit(socket) {
      const { address, name } = toNames(socket);
      if (leave(address, name)) known.add(name); // else it has gone
      return known.size <= maxKnown;
    },
  };
}

// The second is unique among the open connections of one port.
function toNames({ remoteAddress: address = "?", remotePort = 0 }: Socket): { readonly address: string; readonly name: string } {
  return { address, name: formatHostPort(address, remotePort) };
}
