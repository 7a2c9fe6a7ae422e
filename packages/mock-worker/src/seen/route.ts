/** What was asked, over HTTP. */
import type { SystemRoute } from "@dyn/runtime/internal";
import type { SeenRequest, SeenRequests } from "./seen.ts";

/** GET shows the requests, the oldest first; DELETE forgets them. */
export function toSeenRoute(seen: SeenRequests): SystemRoute {
  return { read: () => ({ requests: seen.list().map(toPlain) }), orders: { DELETE: () => seen.clear() } };
}

// JSON has no bigint.
function toPlain({ request, ...facts }: SeenRequest): unknown {
  const { seed } = request.sampling;
  const sampling = typeof seed === "bigint" ? { ...request.sampling, seed: String(seed) } : request.sampling;
  return { ...facts, request: { ...request, sampling } };
}
