/** The OpenAPI document of a port, from its routes and the schemas with which bodies are read. */
import { version } from "@dyn/runtime";
import type { Audience, RouteEntry } from "@dyn/runtime/internal";
import { toErrorResponse, toFailures, type ErrorResponse } from "./failures.ts";
import { answerHeaders, requestHeaders } from "./headers.ts";
import type { ExposedPath } from "../settings/exposed-paths.ts";
import { exposedSchemas, toExposedWords } from "./exposed-words.ts";
import { inferenceWords } from "./inference-words.ts";
import { entriesOf, type Method, type OpenApiDocument, type Operation, type Response } from "./openapi.ts";
import { toOperation, type OperationLimits } from "./operation.ts";
import { otherWords } from "./other-words.ts";
import type { BodyLimits } from "../inference/fields.ts";
import { responseWords } from "./response-words.ts";
import { toSchemas } from "./schemas.ts";
import { securitySchemes, toSecurity } from "./security.ts";
import { tags, type RouteWords } from "./words.ts";

/** An entry of the table of routes, as far as it is described. */
export type DescribedRoute = Pick<RouteEntry, "method" | "path" | "audience">;

/** What a frontend has been told, as far as its clients notice. */
export interface DescribedFrontend extends OperationLimits {
  readonly fieldLimits: BodyLimits;
  /** Endpoints of one's own that it serves. Default: none. */
  readonly exposed?: readonly ExposedPath[];
  /** Nobody is asked for a key at routes for them. */
  readonly isOpen: (audience: Audience) => boolean;
}

const unmatched = ["unknown_route", "method_not_allowed"] as const;

const about = `Every GET also answers HEAD. Bodies are JSON in UTF-8. Fields that are not listed are handed to the engine or ignored, or refused with \`--http-unknown-fields refuse\`; a field with a bad value is a 400 that names it.

Every answer has the headers \`request-id\` and \`x-request-id\`. A path that is not served is a 404, and one that is served under other methods a 405: \`openai-404-unknown_route\` and \`openai-405-method_not_allowed\` among the responses, or, below \`/v1/messages\` and for clients that send \`anthropic-version\`, the same in Anthropic's shape. With \`--http-cors-origins\` OPTIONS answers what browsers ask before they let a page ask, and answers have \`access-control-…\` headers for it.`;

/** @throws Error for a route of which nothing is said. */
export function createDocument(routes: readonly DescribedRoute[], frontend: DescribedFrontend): OpenApiDocument {
  const { exposed = [] } = frontend;
  const responses = new Map<string, Response>();
  for (const shape of ["openai", "anthropic"] as const)
    for (const failure of toFailures(unmatched, frontend.overloadStatus).slice(0, unmatched.length))
      addTo(responses, toErrorResponse(failure.status, [failure], shape));
  const paths: Record<string, Partial<Record<Method, Operation>>> = {};
  for (const { method, path: pattern, audience } of routes) {
    const path = pattern.replace("*", "{id}");
    const security = toSecurity(audience, frontend.isOpen(audience));
    const { operation, errors } = toOperation(findWords(method, path, exposed), security, frontend);
    for (const error of errors) addTo(responses, error);
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation };
  }
  const used = new Set(entriesOf(paths).flatMap(({ operation }) => operation.tags));
  return {
    openapi: "3.1.1",
    info: {
      title: "dyn-frontend",
      version,
      summary: "An inference frontend that speaks the OpenAI and Anthropic APIs.",
      description: about,
      license: { name: "Apache License 2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/", description: "The one that this document came from." }],
    tags: Object.entries(tags).flatMap(([name, description]) => (used.has(name) ? [{ name, description }] : [])),
    paths,
    components: {
      schemas: { ...toSchemas(frontend.fieldLimits), ...(exposed.length > 0 && exposedSchemas) },
      responses: Object.fromEntries(responses),
      parameters: requestHeaders,
      headers: answerHeaders,
      securitySchemes,
    },
  };
}

function addTo(responses: Map<string, Response>, { name, response }: ErrorResponse): void {
  responses.set(name, response);
}

function findWords(method: string, path: string, exposed: readonly ExposedPath[]): RouteWords {
  const key = `${method} ${path}`;
  const own = exposed.find((each) => each.path === path);
  const words = own ? toExposedWords(own) : (inferenceWords[key] ?? responseWords[key] ?? otherWords[key]);
  if (!words) throw new Error(`${key} is not described`);
  return words;
}
