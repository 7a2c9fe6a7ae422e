/** The listening end of the plane: all connections of one process, and the endpoints they may ask for. */
import type { Socket } from "node:net";
import { RecentSet } from "../recent.ts";
import { LoopWatch } from "./loop-watch.ts";
import { createPauses } from "./pauses.ts";
import { createServedEndpoints, type EndpointRegistration, type ServedEndpoint } from "./served-endpoints.ts";
import { ServerConnection, type ConnectionParts, type ServerConnectionOptions } from "./server-connection.ts";
import type { ServerStream } from "./server-stream.ts";

/** Endpoints served once of which later diallers are told that they are gone. */
const maxWithdrawn = 1_024;

/** An endpoint as its owner holds it. `withdraw` tells every dialler beforehand that it will be gone. */
export interface PlaneRegistration extends EndpointRegistration {
  withdraw(): void;
}

/** All connections and running requests of one process. */
export interface PlaneServer {
  /** Connections that are open. */
  readonly size: number;
  /** Serve an endpoint until it is removed. @throws RuntimeError `invalid_argument` if its path is served already. */
  add(endpoint: ServedEndpoint): PlaneRegistration;
  /** Takes ownership of a socket after its preface. `admit` is called once the peer has proven itself; what it throws ends the connection. */
  accept(socket: Socket, head: Buffer, admit?: () => void): void;
  /** Tell every peer that no new request is taken. */
  goAway(reason: string): void;
  /** Close every connection, and those to come. Resolves once the peers have read what was left for them, or after 5 s. */
  close(): Promise<void>;
}

/** Create one without connections and endpoints. */
export function createPlaneServer(options: ServerConnectionOptions): PlaneServer {
  const endpoints = createServedEndpoints();
  const connections = new Set<ServerConnection>();
  function* running(): Generator<ServerStream, void, void> {
    for (const { streams } of connections) yield* streams;
  }
  const loop = new LoopWatch({ log: options.log, now: options.now, running });
  const parts: ConnectionParts = { options, endpoints, pauses: createPauses(), loop };
  const withdrawn = new RecentSet<string>(maxWithdrawn);
  let leaving: string | undefined;
  let isClosed = false;
  return {
    get size() {
      return connections.size;
    },
    add(endpoint) {
      const registration = endpoints.add(endpoint);
      withdrawn.delete(endpoint.path);
      loop.start();
      return {
        ...registration,
        withdraw() {
          withdrawn.add(endpoint.path);
          for (const connection of connections) connection.withdraw(endpoint.path);
        },
      };
    },
    accept(socket, head, admit = () => undefined) {
      if (isClosed) return void socket.destroy();
      const connection = new ServerConnection(socket, head, parts, {
        onOpen: admit,
        onGone: () => connections.delete(connection),
      });
      connections.add(connection);
      if (leaving !== undefined) connection.goAway(leaving);
      else for (const path of withdrawn) connection.withdraw(path);
    },
    goAway(reason) {
      leaving = reason;
      for (const connection of connections) connection.goAway(reason);
    },
    async close() {
      isClosed = true;
      loop[Symbol.dispose]();
      await Promise.all([...connections].map((connection) => connection.finish()));
    },
  };
}
