/** What is said of the routes that are read: lists, pages, probes. */
import type { JsonSchema } from "../inference/described.ts";
import { pageQuerySchema } from "../anthropic/list-models.ts";
import { toJsonSchema } from "./json-schema.ts";
import type { Parameter } from "./openapi.ts";
import type { RouteWords } from "./words.ts";

function toQueryParameters(): readonly Parameter[] {
  const { properties = {} } = toJsonSchema(pageQuerySchema) as { properties?: Readonly<Record<string, JsonSchema>> }; // zod writes no boolean schemas
  return Object.entries(properties).map(([name, { description = "", ...schema }]) => ({
    name,
    in: "query",
    description: `${description} Read only with the header \`anthropic-version\`.`,
    schema,
  }));
}

/** The `{id}` of a path. */
export function toIdParameter(description: string): Parameter {
  return { name: "id", in: "path", required: true, description, schema: { type: "string" } };
}

const lists = { tag: "Models", headers: ["AnthropicVersion"], shape: "both" } as const;
const page = { tag: "Documentation", headers: ["IfNoneMatch"], shape: "openai" } as const;
const unchanged = { status: 304, description: "The page is the one of `if-none-match`.", headers: ["etag"] };

export const otherWords: Readonly<Record<string, RouteWords>> = {
  "GET /v1/models": {
    ...lists,
    id: "listModels",
    summary: "List the models",
    description:
      "A model is listed while a worker serves it. With the header `anthropic-version` the list has the shape of Anthropic's API, page by page.",
    parameters: toQueryParameters(),
    answers: [{ status: 200, description: "All models, or one page of them.", json: "ModelList|ModelInfoList" }],
    codes: ["invalid_argument"],
  },
  "GET /v1/models/{id}": {
    ...lists,
    id: "getModel",
    summary: "Show one model",
    description: "With the header `anthropic-version` it has the shape of Anthropic's API.",
    parameters: [toIdParameter("The name of the model, which may contain `/`, as it is or as `%2F`.")],
    answers: [{ status: 200, description: "The model.", json: "Model|ModelInfo" }],
    codes: ["not_found", "unavailable"],
  },
  "GET /v1/requests/{id}": {
    id: "getRequest",
    tag: "Operation",
    summary: "Show what became of a request",
    description:
      "What this frontend knows of one of its requests: its attempts, and what the workers said. It remembers those that run and the latest that are over (`--request-history`). Shown to the key that made the request, and to operators.",
    parameters: [
      toIdParameter("A request id, a client's `x-request-id`, a trace id, a span id, or the id of an answer's body."),
    ],
    answers: [{ status: 200, description: "The newest request with that id.", json: "RequestTree" }],
    shape: "openai",
    codes: ["unknown_request"],
  },
  "GET /health": {
    id: "getHealth",
    tag: "Operation",
    summary: "Ready to serve?",
    description: "For load balancers: 503 during a drain, and while no model is known and none can be looked for.",
    answers: [
      {
        status: 200,
        description: "Ready, also without a single worker: look at `models`.",
        json: "Health",
        example: { status: "healthy" },
      },
      { status: 503, description: "Ask another frontend.", json: "NotReady" },
    ],
    shape: "openai",
    codes: [],
  },
  "GET /live": {
    id: "getLive",
    tag: "Operation",
    summary: "Alive?",
    description: "For whoever restarts it: 200 as long as there is an answer.",
    answers: [{ status: 200, description: "Alive.", json: "Live" }],
    shape: "openai",
    codes: [],
  },
  "GET /metrics": {
    id: "getMetrics",
    tag: "Operation",
    summary: "Metrics for Prometheus",
    description: "In the format that `accept` asks for: OpenMetrics, or Prometheus's own, which is the default.",
    answers: [
      {
        status: 200,
        description: "All metrics.",
        text: {
          "text/plain; version=0.0.4; charset=utf-8": { type: "string" },
          "application/openmetrics-text; version=1.0.0; charset=utf-8": { type: "string" },
        },
      },
    ],
    shape: "openai",
    codes: [],
  },
  "GET /": {
    id: "getIndex",
    tag: "Documentation",
    summary: "What this is, and its routes",
    description: "For whoever looks at the address alone.",
    answers: [{ status: 200, description: "The routes of this port.", json: "Index" }],
    shape: "openai",
    codes: [],
  },
  "GET /openapi.json": {
    ...page,
    id: "getOpenApi",
    summary: "This API as an OpenAPI document",
    description: "Of the routes of this port, with the limits of this frontend.",
    answers: [
      {
        status: 200,
        description: "A document of OpenAPI 3.1.",
        text: { "application/json": { type: "object" } },
        headers: ["etag"],
      },
      unchanged,
    ],
    codes: [],
  },
  "GET /docs": {
    ...page,
    id: "getDocs",
    summary: "This API as a page to read",
    description: "Made from the same document. It needs no network and no JavaScript.",
    answers: [
      {
        status: 200,
        description: "A page.",
        text: { "text/html; charset=utf-8": { type: "string" } },
        headers: ["etag"],
      },
      unchanged,
    ],
    codes: [],
  },
  "GET /favicon.ico": {
    id: "getIcon",
    tag: "Documentation",
    summary: "No icon",
    description: "Browsers ask for one by themselves.",
    answers: [{ status: 204, description: "There is none." }],
    shape: "openai",
    codes: [],
  },
};
