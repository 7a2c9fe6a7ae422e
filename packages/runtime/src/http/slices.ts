/** Hands Node's HTTP parser what has been read a slice at a time. It makes requests of all that it is given before anybody else is heard: of 64 KiB, which
 *  is what Node reads at once, some two thousand. Between slices a connection can be held; the rest then waits as bytes. */
import type { Socket } from "node:net";

/** Some dozens of the shortest requests. */
const sliceBytes = 2_048;

export interface Reading {
  /** Nothing is handed on meanwhile; `readOn` goes on when that is over. */
  readonly isHeld: () => boolean;
  /** No more requests are taken: what comes is thrown away. */
  readonly isOver: () => boolean;
}

/** Read an HTTP connection in slices from now on. */
export function readInSlices(socket: Socket, { isHeld, isOver }: Reading): void {
  const look = (): void => {
    if (isOver()) throwAway();
    else if (isHeld()) socket.pause();
  };
  const throwAway = (): void => {
    socket.off("resume", look).removeAllListeners("data"); // the parser's, too: Node would keep all that follows until the last answer is out
    socket.on("data", () => undefined);
  };
  // Called after the parser, which resumes the connection whenever it has found the end of a request. Also, Node's parser takes bytes from the system
  // by itself, past all this, unless somebody listens to them.
  socket.on("data", look).on("resume", look);
  const push = socket.push.bind(socket);
  socket.push = (chunk: Buffer | null, encoding) => {
    // One request, as a rule: it goes on as it is.
    if (chunk === null || chunk.length <= sliceBytes) return push(chunk, encoding) && !socket.isPaused();
    let wantsMore = true;
    for (let at = 0; at < chunk.length; at += sliceBytes)
      wantsMore = push(chunk.subarray(at, at + sliceBytes), encoding);
    return wantsMore && !socket.isPaused();
  };
}

/** Read on, unless Node has stopped reading because answers wait for the client: then it goes on by itself. */
export function readOn(socket: Socket): void {
  const { _paused: isHeldByNode } = socket as Socket & { readonly _paused?: boolean }; // nothing public says so, and reading all the same throws in there
  if (isHeldByNode !== true) socket.resume();
}
