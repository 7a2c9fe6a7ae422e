/** What a route of the HTTP server is. */
import type { RuntimeError } from "@dyn/runtime";
import type { Audience } from "./callers.ts";
import type { Exchange, RouteKind } from "./exchange.ts";

export interface RouteInput {
  readonly exchange: Exchange;
  readonly body: unknown;
  /** What `*` in the path stood for. */
  readonly rest: string;
}

export interface RouteEntry {
  readonly method: "GET" | "POST";
  /** Exact, or the beginning of many with `*` behind it. */
  readonly path: string;
  readonly kind: RouteKind;
  readonly audience: Audience;
  handle(input: RouteInput): void | Promise<void>;
  toErrorBody(error: RuntimeError, exchange: Exchange): unknown;
  /** Inference routes answer early failures themselves, with their pair of log lines. */
  refuse?(exchange: Exchange, error: RuntimeError): void;
  /** For the document that describes all routes. Default: it is not in there. */
  readonly docs?: RouteDocs;
}

/** A route for its readers, as OpenAPI has it. */
export interface RouteDocs {
  /** A few words. */
  readonly summary: string;
  /** Markdown. */
  readonly description?: string;
  /** JSON Schema of the body. */
  readonly request?: object;
  /** What `*` stands for, as a word. */
  readonly rest?: string;
  /** By status, such as `200`. */
  readonly responses: Readonly<Record<string, ResponseDocs>>;
}

export interface ResponseDocs {
  readonly description: string;
  /** JSON Schemas, by media type. */
  readonly content?: Readonly<Record<string, object>>;
}
