/** The client's presence as an AbortController. */
import type { ServerResponse } from "node:http";
import { RuntimeError } from "@dyn/runtime";

/** Aborts when the connection closes before the whole answer has been handed to the system.
 *  Until the answer is over its controller is in `open`, for whoever must end all answers. */
export function watchDisconnect(response: ServerResponse, open: Set<AbortController>): AbortController {
  const aborter = new AbortController();
  open.add(aborter);
  response.once("close", () => {
    open.delete(aborter);
    if (!response.writableFinished) aborter.abort(new RuntimeError("cancelled", "the client closed the connection"));
  });
  return aborter;
}
