/** GET /v1/models and /v1/models/{id} for Anthropic's clients, page by page. */
import { RuntimeError } from "@dyn/runtime";
import { type Exchange, sendJson } from "@dyn/runtime/internal";
import * as z from "zod";
import { described } from "../inference/described.ts";
import { parseFields } from "../inference/fields.ts";
import type { Model, Models } from "../models/models.ts";

const pageQuery = z.object({
  limit: described("Most models of a page.", z.coerce.number().int().min(1).max(1_000).default(20)),
  after_id: described("Only models whose names come after this one.", z.string().optional()),
  before_id: described("Only models whose names come before this one: the last of them.", z.string().optional()),
});

/** For the document of the API. */
export const pageQuerySchema: z.ZodType = pageQuery;

function toModelInfo({ name, created, contextLength }: Model): unknown {
  return {
    type: "model",
    id: name,
    display_name: name,
    created_at: new Date(created * 1000).toISOString(),
    max_input_tokens: contextLength === 0 ? null : contextLength,
    max_tokens: null,
  };
}

/** One page of the models after, or before, the one the client has; names are in order, so it need not be there any more. @throws FieldError. */
export function listModelInfos(exchange: Exchange, models: Models): void {
  const { limit, after_id: after, before_id: before } = parseFields(pageQuery, readQuery(exchange.request.url ?? ""));
  const left = models
    .list()
    .filter(({ name }) => (after === undefined || name > after) && (before === undefined || name < before));
  const page = before === undefined ? left.slice(0, limit) : left.slice(-limit);
  sendJson(exchange, 200, {
    data: page.map(toModelInfo),
    has_more: page.length < left.length,
    first_id: page[0]?.name ?? null,
    last_id: page.at(-1)?.name ?? null,
  });
}

// The platform's reader would put other characters in the place of those it cannot read.
function readQuery(url: string): Record<string, string> {
  const { search, searchParams } = new URL(url, "http://localhost");
  try {
    decodeURIComponent(search);
  } catch {
    throw new RuntimeError("invalid_argument", "the query is not valid percent-encoding of UTF-8");
  }
  return Object.fromEntries(searchParams);
}

/** `id` may contain `/`. @throws RuntimeError `not_found`. */
export function showModelInfo(exchange: Exchange, models: Models, id: string): void {
  sendJson(exchange, 200, toModelInfo(models.find(id)));
}
