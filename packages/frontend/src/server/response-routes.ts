/** Routes of the responses that are kept, and of what a request for one would count. */
import type { RouteEntry } from "@dyn/runtime/internal";
import { serveTokenCount, type CountParts } from "../inference/count-tokens.ts";
import { toErrorBody } from "../openai/errors.ts";
import { cancelResponse, deleteResponse, showResponse } from "../openai/responses/kept.ts";
import { createInputTokensApi } from "../openai/responses/responses.ts";
import type { ResponseStore } from "../openai/responses/store.ts";

export interface ResponseParts {
  /** Those that are kept. */
  readonly responses: ResponseStore;
}

const lookup = { kind: "lookup", audience: "clients", toErrorBody } as const;

export function responseRoutes(parts: CountParts & ResponseParts): readonly RouteEntry[] {
  const { responses } = parts;
  const countApi = createInputTokensApi(responses);
  return [
    {
      ...lookup,
      method: "POST",
      path: "/v1/responses/input_tokens",
      asksWorkers: true,
      takes: "json",
      handle: ({ exchange, body }) => serveTokenCount(countApi, exchange, body, parts),
    },
    {
      ...lookup,
      method: "GET",
      path: "/v1/responses/*",
      handle: ({ exchange, rest }) => showResponse(exchange, responses, rest),
    },
    {
      ...lookup,
      method: "DELETE",
      path: "/v1/responses/*",
      handle: ({ exchange, rest }) => deleteResponse(exchange, responses, rest),
    },
    {
      ...lookup,
      method: "POST",
      path: "/v1/responses/*/cancel",
      handle: ({ exchange, rest }) => cancelResponse(exchange, responses, rest),
    },
  ];
}
