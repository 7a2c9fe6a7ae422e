/** Who goes when an HTTP server has too many connections: those that have asked for nothing yet take no place of those that have. */
import type { Socket } from "node:net";
import { createStrangers } from "../strangers.ts";
import type { HttpLimits } from "./limits.ts";

/** Connections that have asked for nothing yet, where a quarter of all would be less. */
const leastStrangers = 64;

export interface ConnectionLimitOptions {
  readonly limits: HttpLimits;
  /** Called before a connection is closed because there are too many. */
  readonly onCrowded: (socket: Socket) => void;
  /** The connection that has been idle for longest since its last request; it is told of once. */
  readonly takeIdle: () => Socket | undefined;
}

export interface ConnectionLimit {
  readonly enter: (socket: Socket) => void;
  /** Its first request has come. If there is no place, whoever has been idle for longest goes. @returns false if nobody is: then it went itself. */
  readonly admit: (socket: Socket) => boolean;
}

/** Create it, for a server without connections. */
export function limitConnections({
  limits: { httpMaxConnections: maxKnown },
  onCrowded,
  takeIdle,
}: ConnectionLimitOptions): ConnectionLimit {
  const strangers = createStrangers({
    maxStrangers: Math.max(leastStrangers, Math.ceil(maxKnown / 4)),
    maxKnown,
    onCrowded,
  });
  return {
    enter: (socket) => strangers.enter(socket),
    admit(socket) {
      if (strangers.admit(socket)) return true;
      const leaving = takeIdle() ?? socket;
      onCrowded(leaving);
      leaving.destroy();
      return leaving !== socket;
    },
  };
}
