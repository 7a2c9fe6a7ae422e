/** The client's presence as an AbortSignal. */
import type { ServerResponse } from "node:http";
import { RuntimeError } from "@dyn/runtime";

/** Aborts when the connection closes before the whole answer has been handed to the system. */
export function watchDisconnect(response: ServerResponse): AbortSignal {
  const aborter = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) aborter.abort(new RuntimeError("cancelled", "the client closed the connection"));
  });
  return aborter.signal;
}
