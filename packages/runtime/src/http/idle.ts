/** Connections that wait for their next request, and how long they may. */
import type { Socket } from "node:net";
import { toCheckIntervalMs, type HttpLimits } from "./limits.ts";

export interface Idle extends Disposable {
  begin(socket: Socket): void;
  end(socket: Socket): void;
  /** The connection that has been idle for longest; it does not count as idle any more. */
  readonly take: () => Socket | undefined;
}

/** Watch, from none on. Node's own timer begins anew with every byte, so that empty lines could hold a connection for ever. */
export function watchIdle(limits: HttpLimits, now: () => number): Idle {
  const longestMs = limits.httpKeepAliveTimeoutMs + limits.httpHeaderTimeoutMs;
  const since = new Map<Socket, number>(); // in the order in which they fell idle
  const check = setInterval(() => {
    for (const [socket, begunAt] of since) {
      if (now() - begunAt < longestMs) return;
      since.delete(socket);
      socket.destroy();
    }
  }, toCheckIntervalMs(limits)).unref();
  return {
    begin: (socket) => void since.set(socket, now()),
    end: (socket) => void since.delete(socket),
    take() {
      const [longest] = since.keys();
      if (longest) since.delete(longest);
      return longest;
    },
    [Symbol.dispose]: () => clearInterval(check),
  };
}
