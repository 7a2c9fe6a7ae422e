/** The OpenAPI document of a frontend as a judge: of bodies, answers and events. */
import { errorTable } from "../../packages/runtime/src/error-table.ts";
import { workerCodes } from "../../packages/runtime/src/worker-errors.ts";
import { Ajv2020, type ErrorObject } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { expect } from "vitest";
import { createDocument, type DescribedFrontend } from "../../packages/frontend/src/openapi/document.ts";
import type {
  MediaType,
  OpenApiDocument,
  Operation,
  Response as Described,
} from "../../packages/frontend/src/openapi/openapi.ts";
import { createRoutes, routesAt } from "../../packages/frontend/src/server/routes.ts";
import type { PortUse } from "../../packages/runtime/src/http/callers.ts";

export const plainFrontend: DescribedFrontend = {
  fieldLimits: { maxMessages: 100_000, maxCompletions: 1_024 },
  maxBodyBytes: 32 * 1024 * 1024,
  overloadStatus: 529,
  isOpen: () => true,
};

/** As a frontend with the default settings has it; nothing is asked of the parts of its routes. */
export function describeFrontend(use: PortUse = "all", frontend: Partial<DescribedFrontend> = {}): OpenApiDocument {
  return createDocument(routesAt(use, createRoutes({} as never), plainFrontend), { ...plainFrontend, ...frontend });
}

export type Validate = (value: unknown) => readonly ErrorObject[];

/** Judges values by the part of `document` that a JSON pointer names. */
export function createJudge(document: OpenApiDocument): (pointer: string) => Validate {
  const ajv = new Ajv2020({ strict: true, strictTypes: false });
  (addFormats as unknown as (ajv: Ajv2020) => void)(ajv); // its types are those of a CommonJS module
  // By names of their own: the document around them is no JSON schema.
  const plain = JSON.parse(
    JSON.stringify(document).replaceAll('"#/components/schemas/', '"/components/schemas/'),
  ) as OpenApiDocument;
  for (const [name, schema] of Object.entries(plain.components.schemas))
    ajv.addSchema(schema, `/components/schemas/${name}`);
  const compiled = new Map<string, Validate>();
  return (pointer) => {
    const known = compiled.get(pointer);
    if (known) return known;
    const schema = findPart(plain, pointer);
    if (schema === undefined) throw new Error(`the document has no ${pointer}`);
    const validate = ajv.compile(schema as object);
    const judge: Validate = (value) => (validate(value) ? [] : (validate.errors ?? []));
    compiled.set(pointer, judge);
    return judge;
  };
}

/** The part of a document that a JSON pointer names. */
export function findPart(json: unknown, pointer: string): unknown {
  const keys = pointer.slice(1).split("/");
  return keys.reduce<unknown>(
    (value, key) => (value as Record<string, unknown> | undefined)?.[key.replaceAll("~1", "/").replaceAll("~0", "~")],
    json,
  );
}

/** `document`, but what it does not list may not be there: what frontends answer must be described, though clients must take more. */
export function closeSchemas(document: OpenApiDocument): OpenApiDocument {
  const close = (json: unknown): unknown => {
    if (Array.isArray(json)) return json.map(close);
    if (typeof json !== "object" || json === null) return json;
    const closed = Object.fromEntries(Object.entries(json).map(([key, value]) => [key, close(value)]));
    return closed["type"] === "object" && closed["properties"] ? { ...closed, additionalProperties: false } : closed;
  };
  const { schemas } = document.components;
  return { ...document, components: { ...document.components, schemas: close(schemas) as typeof schemas } };
}

export function operationOf(document: OpenApiDocument, method: string, path: string): Operation {
  const operation = document.paths[path]?.[method.toLowerCase() as "get" | "post"];
  if (!operation) throw new Error(`the document has no ${method} ${path}`);
  return operation;
}

export function escapePointer(key: string): string {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}

/** Where a response is, and what it says. */
export function findResponse(
  document: OpenApiDocument,
  method: string,
  path: string,
  status: number,
): { readonly pointer: string; readonly response: Described } {
  const response = operationOf(document, method, path).responses[status];
  if (!response) throw new Error(`${method} ${path} has no response ${status}`);
  if (!("$ref" in response))
    return { pointer: `/paths/${escapePointer(path)}/${method.toLowerCase()}/responses/${status}`, response };
  const name = response.$ref.split("/").at(-1) ?? "";
  const found = document.components.responses[name];
  if (!found) throw new Error(`${response.$ref} leads nowhere`);
  return { pointer: `/components/responses/${name}`, response: found };
}

export interface Event {
  readonly event?: string;
  readonly data: string;
}

/** The events of a stream, comments left out. */
export function readEvents(text: string): readonly Event[] {
  return text.split("\n\n").flatMap((block) => {
    const fields = block.split("\n").flatMap((line): [string, string][] => {
      const at = line.indexOf(":");
      return at > 0 ? [[line.slice(0, at), line.slice(at + 1).trimStart()]] : [];
    });
    return fields.length === 0 ? [] : [Object.fromEntries(fields) as unknown as Event];
  });
}

/** What is wrong with each event of a stream; `media` is where `pointer` says. */
export function judgeEvents(
  judge: (pointer: string) => Validate,
  pointer: string,
  media: MediaType,
  events: readonly Event[],
): readonly string[] {
  const items = (media["x-itemSchema"] as { anyOf: { properties: { data: { contentSchema?: { $ref: string } } } }[] })
    .anyOf;
  return events.flatMap((event) => {
    const problems = items.map((item, index) => {
      const shape = judge(`${pointer}/x-itemSchema/anyOf/${index}`)(event);
      if (shape.length > 0) return shape;
      const schema = item.properties.data.contentSchema;
      if (!schema) return [];
      return event.data.startsWith("{") ? judge(schema.$ref.slice(1))(JSON.parse(event.data)) : ["no JSON"];
    });
    return problems.some((each) => each.length === 0) ? [] : [`${JSON.stringify(event)}: ${JSON.stringify(problems)}`];
  });
}

/** An answer, as it was read. */
export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

// Statuses of errors that only an engine says when to try again after.
const engineStatuses: ReadonlySet<number> = new Set(
  [...workerCodes].filter((code) => !errorTable[code].retryable).map((code) => errorTable[code].status),
);

/** Expects of answers what `document` says of them. */
export function createExpectation(document: OpenApiDocument): (method: string, path: string, answer: Answer) => void {
  const judge = createJudge(document);
  return (method, path, { status, headers, body }) => {
    const { pointer, response } = findResponse(document, method, path, status);
    const ours = Object.keys(document.components.headers).filter((name) => headers.has(name));
    expect(Object.keys(response.headers ?? {})).toEqual(expect.arrayContaining(ours));
    expect(ours).toEqual(expect.arrayContaining(["request-id", "x-request-id"]));
    for (const name of ["retry-after", "www-authenticate", "allow"]) {
      const isDescribed = name in (response.headers ?? {});
      if (headers.has(name) || !isDescribed || !(name === "retry-after" && engineStatuses.has(status)))
        expect(headers.has(name), name).toBe(isDescribed);
    }
    for (const name of ours)
      expect(judge(`/components/headers/${name}/schema`)(headers.get(name)), `${name}: ${headers.get(name)}`).toEqual(
        [],
      );
    if (!response.content) return expect(body).toBe("");
    const type = headers.get("content-type") ?? "";
    const known = [type, type.replace(/;.*/, "")].find((each) => response.content?.[each]) ?? type;
    const media = response.content[known];
    if (!media) throw new Error(`${method} ${path} ${status} has no ${type}`);
    const at = `${pointer}/content/${escapePointer(known)}`;
    if (known === "text/event-stream") return expect(judgeEvents(judge, at, media, readEvents(body))).toEqual([]);
    const value: unknown = known === "application/json" ? JSON.parse(body) : body;
    expect(judge(`${at}/schema`)(value), body).toEqual([]);
  };
}
