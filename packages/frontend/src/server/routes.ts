/** Every route: method, path, handler, shape of its errors. What is not here is a 404, what is here under another method a 405. */
import type { RuntimeError } from "@dyn/runtime";
import type { Audience, Exchange, PortUse, RouteEntry } from "@dyn/runtime/internal";
import { countApi } from "../anthropic/count-tokens.ts";
import * as anthropic from "../anthropic/errors.ts";
import { listModelInfos, showModelInfo } from "../anthropic/list-models.ts";
import { messagesApi } from "../anthropic/messages.ts";
import type { InferenceApi, InferenceRequest, Refusals } from "../inference/api.ts";
import { serveTokenCount } from "../inference/count-tokens.ts";
import { refuseInference, serveInference, serveUnary, type InferenceParts } from "../inference/serve.ts";
import { chatApi } from "../openai/chat.ts";
import { completionsApi } from "../openai/completions.ts";
import { embeddingsApi } from "../openai/embeddings.ts";
import * as openai from "../openai/errors.ts";
import { listModels, showModel } from "../openai/list-models.ts";
import { createCompactApi } from "../openai/responses/compact.ts";
import { createResponsesApi } from "../openai/responses/responses.ts";
import { createDocsPages } from "../openapi/docs-pages.ts";
import type { DescribedFrontend } from "../openapi/document.ts";
import {
  createOpsPages,
  serveHealth,
  serveIcon,
  serveIndex,
  serveLive,
  serveMetrics,
  showRequest,
  type OpsParts,
} from "../ops.ts";

import { responseRoutes, type ResponseParts } from "./response-routes.ts";

/** Of the pages that say which routes there are. */
export const pagePaths: readonly string[] = ["/", "/docs", "/openapi.json"];

const audiences: Readonly<Record<PortUse, readonly Audience[]>> = {
  all: ["anybody", "clients", "both", "operators"],
  clients: ["anybody", "clients"],
  operators: ["anybody", "both", "operators"],
};

/** Those of `routes` that a port serves, and the pages that say which these are. */
export function routesAt(
  use: PortUse,
  routes: readonly RouteEntry[],
  frontend: DescribedFrontend,
): readonly RouteEntry[] {
  const docs = createDocsPages(() => [served, frontend]);
  const page = (path: string, audience: Audience, handle: RouteEntry["handle"]): RouteEntry => {
    return { method: "GET", path, kind: "operator", audience, handle, toErrorBody: openai.toErrorBody };
  };
  const readers = use === "operators" ? "both" : "clients"; // large pages are not for strangers, who may not read them
  const served: readonly RouteEntry[] = [
    ...routes.filter(({ audience }) => audiences[use].includes(audience)),
    page("/openapi.json", readers, ({ exchange }) => docs.showDocument(exchange)),
    page("/docs", readers, ({ exchange }) => docs.showPage(exchange)),
    page("/", "anybody", ({ exchange }) => serveIndex(exchange, served.map(toShown))),
  ];
  return served;
}

type Parts = InferenceParts & OpsParts & ResponseParts;

const { toErrorBody } = openai;

/** All but the pages that say which these are. */
export function createRoutes(parts: Parts): readonly RouteEntry[] {
  return [...inferenceRoutes(parts), ...responseRoutes(parts), ...lookupRoutes(parts), ...operatorRoutes(parts)];
}

function inferenceRoutes(parts: Parts): readonly RouteEntry[] {
  const route = (path: string, api: Refusals, handle: RouteEntry["handle"]): RouteEntry => ({
    method: "POST",
    path,
    kind: "inference",
    takes: "json",
    audience: "clients",
    handle,
    toErrorBody: (error, { identity }) => api.toErrorBody(error, identity.requestId),
    refuse: (exchange, error) => refuseInference(api, exchange, error, parts),
  });
  const inference = <Request extends InferenceRequest>(path: string, api: InferenceApi<Request>): RouteEntry =>
    route(path, api, ({ exchange, body }) => serveInference(api, exchange, body, parts));
  return [
    inference("/v1/chat/completions", chatApi),
    inference("/v1/completions", completionsApi),
    inference("/v1/responses", createResponsesApi(parts.responses)),
    inference("/v1/responses/compact", createCompactApi(parts.responses)),
    inference("/v1/messages", messagesApi),
    route("/v1/embeddings", embeddingsApi, ({ exchange, body }) => serveUnary(embeddingsApi, exchange, body, parts)),
  ];
}

function lookupRoutes(parts: Parts): readonly RouteEntry[] {
  return [
    {
      method: "POST",
      path: "/v1/messages/count_tokens",
      kind: "lookup",
      asksWorkers: true,
      takes: "json",
      audience: "clients",
      handle: ({ exchange, body }) => serveTokenCount(countApi, exchange, body, parts),
      toErrorBody: (error, { identity }) => anthropic.toErrorBody(error, identity.requestId),
    },
    {
      method: "GET",
      path: "/v1/models",
      kind: "lookup",
      audience: "clients",
      handle: ({ exchange }) => (isAnthropic(exchange) ? listModelInfos : listModels)(exchange, parts.models),
      toErrorBody: toSharedBody,
    },
    {
      method: "GET",
      path: "/v1/models/*",
      kind: "lookup",
      audience: "clients",
      handle: ({ exchange, rest }) => (isAnthropic(exchange) ? showModelInfo : showModel)(exchange, parts.models, rest),
      toErrorBody: toSharedBody,
    },
    {
      method: "GET",
      path: "/v1/requests/*",
      kind: "lookup",
      audience: "both",
      handle: ({ exchange, rest }) => showRequest(exchange, parts, rest),
      toErrorBody,
    },
  ];
}

function operatorRoutes(parts: Parts): readonly RouteEntry[] {
  const pages = createOpsPages(parts);
  return [
    {
      method: "GET",
      path: "/health",
      kind: "operator",
      audience: "anybody",
      handle: ({ exchange }) => serveHealth(exchange, parts, pages),
      toErrorBody,
    },
    {
      method: "GET",
      path: "/live",
      kind: "operator",
      audience: "anybody",
      handle: ({ exchange }) => serveLive(exchange, parts),
      toErrorBody,
    },
    {
      method: "GET",
      path: "/metrics",
      kind: "operator",
      audience: "operators",
      handle: ({ exchange }) => serveMetrics(exchange, pages),
      toErrorBody,
    },
    {
      method: "GET",
      path: "/favicon.ico",
      kind: "operator",
      audience: "anybody",
      handle: ({ exchange }) => serveIcon(exchange),
      toErrorBody,
    },
  ];
}

function toShown({ method, path }: RouteEntry): string {
  return `${method} ${path.replace("*", "{id}")}`;
}

// Anthropic's clients say so on every request; it matters where both APIs have the same path.
function isAnthropic({ request }: Exchange): boolean {
  return request.headers["anthropic-version"] !== undefined;
}

/** In the shape of the API that the client speaks, where both have the path. */
export function toSharedBody(error: RuntimeError, exchange: Exchange): unknown {
  return isAnthropic(exchange) ? anthropic.toErrorBody(error, exchange.identity.requestId) : openai.toErrorBody(error);
}
