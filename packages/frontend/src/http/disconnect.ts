/** The client's presence as an AbortController. */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { RuntimeError } from "@dyn/runtime";

export interface DisconnectOptions {
  /** Holds the controller by the request's id until the answer is over, for whoever must end all answers. */
  readonly open: Map<string, AbortController>;
  /** How long nothing of the answer may leave for want of a reader, ms. */
  readonly sendTimeoutMs: number;
}

/** Aborts when the connection closes before the whole answer has been handed to the system; closes it if the client leaves the answer unread. */
export function watchDisconnect(
  response: ServerResponse,
  requestId: string,
  { open, sendTimeoutMs }: DisconnectOptions,
): AbortController {
  const aborter = new AbortController();
  open.set(requestId, aborter);
  response.on("close", () => {
    open.delete(requestId);
    if (!response.writableFinished) aborter.abort(new RuntimeError("cancelled", "the client closed the connection"));
  });
  // Every byte that leaves begins the time anew. If none waits, it is not the client that is slow.
  response.on("timeout", (socket: Socket) => {
    if (socket.writableLength === 0) return;
    aborter.abort(new RuntimeError("cancelled", `the client has read nothing of its answer for ${sendTimeoutMs} ms`));
    socket.destroy();
  });
  return aborter;
}
