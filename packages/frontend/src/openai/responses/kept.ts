/** GET and DELETE /v1/responses/{id}, and what there is to cancel. */
import { RuntimeError } from "@dyn/runtime";
import { sendJson, sendPage, type Exchange } from "@dyn/runtime/internal";
import type { KeptResponse, Keeper, ResponseStore } from "./store.ts";

/** What is kept for whoever asks. */
export function keeperOf({ caller }: Pick<Exchange, "caller">, store: ResponseStore): Keeper {
  return store.of(caller.apiKey?.hash);
}

/** @throws RuntimeError `unknown_request`: that of another's is the same. */
export function showResponse(exchange: Exchange, store: ResponseStore, id: string): void {
  sendPage(exchange, "application/json", find(exchange, store, id).json);
}

/** @throws RuntimeError `unknown_request`. */
export function deleteResponse(exchange: Exchange, store: ResponseStore, id: string): void {
  find(exchange, store, id);
  keeperOf(exchange, store).delete(id);
  sendJson(exchange, 200, { id, object: "response", deleted: true });
}

/** What is kept is over. @throws RuntimeError always: `unknown_request`, or `invalid_argument`. */
export function cancelResponse(exchange: Exchange, store: ResponseStore, id: string): never {
  find(exchange, store, id);
  throw new RuntimeError(
    "invalid_argument",
    "only a response with background: true can be cancelled, and there are none here; close the connection of one that runs",
  );
}

function find(exchange: Exchange, store: ResponseStore, id: string): KeptResponse {
  const shown = JSON.stringify(id.slice(0, 256));
  if (id.includes("/")) throw new RuntimeError("unknown_route", `Route not found: ${shown} below /v1/responses/`);
  const kept = keeperOf(exchange, store).find(id);
  if (kept) return kept;
  throw new RuntimeError("unknown_request", `no response ${shown} is kept here`);
}
