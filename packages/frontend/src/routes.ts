/** Every route: method, path, handler. What is not here is a 404, what is here under another method a 405. */
import type { RuntimeError } from "@dyn/runtime";
import type { Exchange } from "./exchange.ts";
import { refuseChat, serveChat, type InferenceParts } from "./openai/chat.ts";
import { listModels, showModel } from "./openai/list-models.ts";
import { serveHealth, serveLive, serveMetrics, type OpsParts } from "./ops.ts";

export interface RouteInput {
  readonly exchange: Exchange;
  readonly body: unknown;
  /** What `*` in the path stood for. */
  readonly rest: string;
}

export interface RouteEntry {
  readonly method: "GET" | "POST";
  readonly path: string;
  handle(input: RouteInput): void | Promise<void>;
  /** Inference routes answer early failures themselves, with their pair of log lines. */
  refuse?(exchange: Exchange, error: RuntimeError): void;
}

export function createRoutes(parts: InferenceParts & OpsParts): readonly RouteEntry[] {
  return [
    {
      method: "POST",
      path: "/v1/chat/completions",
      handle: ({ exchange, body }) => serveChat(exchange, body, parts),
      refuse: (exchange, error) => refuseChat(exchange, error, parts),
    },
    { method: "GET", path: "/v1/models", handle: ({ exchange }) => listModels(exchange, parts.models) },
    { method: "GET", path: "/v1/models/*", handle: ({ exchange, rest }) => showModel(exchange, parts.models, rest) },
    { method: "GET", path: "/health", handle: ({ exchange }) => serveHealth(exchange, parts) },
    { method: "GET", path: "/live", handle: ({ exchange }) => serveLive(exchange) },
    { method: "GET", path: "/metrics", handle: ({ exchange }) => serveMetrics(exchange, parts) },
  ];
}
