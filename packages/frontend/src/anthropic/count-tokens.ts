/** POST /v1/messages/count_tokens: what `usage.input_tokens` of the same request will say, unless the engine counts for itself. */
import { countPromptTokens, type Exchange, sendJson } from "@dyn/runtime/internal";
import type { FieldLimits } from "../inference/fields.ts";
import { parseJsonBody } from "../http/body.ts";
import type { Models } from "../models/models.ts";
import { logSkipped } from "../inference/parts.ts";
import { parseCountRequest } from "./messages-schema.ts";

/** @throws RuntimeError, FieldError for the caller to answer. */
export function serveTokenCount(exchange: Exchange, raw: unknown, models: Models, limits: FieldLimits): void {
  const { skipped, ...counted } = parseCountRequest(parseJsonBody(raw), limits);
  logSkipped(exchange.log, skipped);
  models.find(counted.model);
  sendJson(exchange, 200, { input_tokens: countPromptTokens(counted) });
}
