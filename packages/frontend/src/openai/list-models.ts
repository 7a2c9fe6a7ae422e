/** GET /v1/models and /v1/models/{id}. */
import { type Exchange, sendJson } from "@dyn/runtime/internal";
import type { Model, Models } from "../models/models.ts";

function toModelObject({ name, created, contextLength }: Model): unknown {
  return {
    id: name,
    object: "model",
    created,
    owned_by: "dyn",
    ...(contextLength > 0 && { context_window: contextLength }),
  };
}

export function listModels(exchange: Exchange, models: Models): void {
  sendJson(exchange, 200, { object: "list", data: models.list().map(toModelObject) });
}

/** `id` may contain `/`. @throws RuntimeError `not_found`. */
export function showModel(exchange: Exchange, models: Models, id: string): void {
  sendJson(exchange, 200, toModelObject(models.find(id)));
}
