/** Whether a client asks for a stream of events. */
import type { IncomingHttpHeaders } from "node:http";
import { peekStream } from "../inference/fields.ts";

/** By `stream: true` in its body, or by an `accept` that names event streams at least as highly as JSON. */
export function wantsEvents({ accept = "" }: Pick<IncomingHttpHeaders, "accept">, body: unknown): boolean {
  if (peekStream(body)) return true;
  const events = qualityOf(accept, "text/event-stream");
  return events > 0 && events >= qualityOf(accept, "application/json");
}

function qualityOf(accept: string, type: string): number {
  const qualities = accept.split(",").flatMap((range) => {
    const [name = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    if (name !== type) return [];
    const quality = Number(parameters.find((each) => each.startsWith("q="))?.slice(2) ?? 1);
    return quality >= 0 && quality <= 1 ? [quality] : [];
  });
  return Math.max(0, ...qualities);
}
