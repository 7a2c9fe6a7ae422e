// The document of the API: valid, whole, and made from the tables that the product itself uses.
import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, test } from "vitest";
import { createDocument } from "../../../packages/frontend/src/openapi/document.ts";
import type { OpenApiDocument } from "../../../packages/frontend/src/openapi/openapi.ts";
import { createRoutes, routesAt } from "../../../packages/frontend/src/server/routes.ts";
import { errorTable, type ErrorCode } from "../../../packages/runtime/src/error-table.ts";
import { workerCodes } from "../../../packages/runtime/src/worker-errors.ts";
import {
  createJudge,
  describeFrontend,
  escapePointer,
  findPart,
  findResponse,
  judgeEvents,
  operationOf,
  plainFrontend,
  readEvents,
} from "../../support/openapi.ts";

const document = describeFrontend();
const inference = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"];

function referencesOf(json: unknown): string[] {
  if (typeof json !== "object" || json === null) return [];
  return Object.entries(json).flatMap(([key, value]) => (key === "$ref" ? [String(value)] : referencesOf(value)));
}

function operations(api: OpenApiDocument): [string, "get" | "post"][] {
  return Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method): [string, "get" | "post"] => [path, method as "get" | "post"]),
  );
}

describe.each(["all", "clients", "operators"] as const)("of a port for %s", (use) => {
  const api = describeFrontend(use);

  test("it is valid, and every reference leads somewhere", async () => {
    const { valid, errors } = await new Validator().validate(
      JSON.parse(JSON.stringify(api)) as Record<string, unknown>,
    );
    expect(errors ?? []).toEqual([]);
    expect(valid).toBe(true);
    expect(referencesOf(api).filter((reference) => findPart(api, reference.slice(1)) === undefined)).toEqual([]);
  });

  test("it has the routes of the table, and no other", () => {
    const served = routesAt(use, createRoutes({} as never), {} as never).map(
      ({ method, path }) => `${path.replace("*", "{id}")} ${method.toLowerCase()}`,
    );
    expect(operations(api).map((each) => each.join(" "))).toEqual(served);
    const ids = operations(api).map(([path, method]) => operationOf(api, method, path).operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

test("a route of which nothing is said is a mistake that is noticed", () => {
  const routes = [{ method: "GET", path: "/v1/files", audience: "clients" } as const];
  expect(() => createDocument(routes, plainFrontend)).toThrow("GET /v1/files is not described");
});

test("it has every code of the table of errors, where it is raised", () => {
  const raised = (Object.keys(errorTable) as ErrorCode[]).filter(
    (code) => !["unknown_route", "unknown_request", "method_not_allowed", "cancelled"].includes(code),
  );
  for (const path of inference) {
    for (const code of raised) {
      const { status, meaning, retryable, openai, anthropic } = errorTable[code];
      const { response } = findResponse(document, "POST", path, status);
      const shown = path === "/v1/messages" ? anthropic : (openai[1] ?? openai[0]); // what its clients read
      expect(response.description).toContain(`\`${shown}\`: ${meaning}`);
      const isEngines = raised.some((other) => errorTable[other].status === status && workerCodes.has(other));
      expect("retry-after" in (response.headers ?? {})).toBe(retryable || isEngines);
    }
  }
  const { response } = findResponse(document, "GET", "/v1/requests/{id}", 404);
  expect(response.description).toContain(errorTable.unknown_request.meaning);
  for (const code of ["unknown_route", "method_not_allowed"] as const)
    expect(Object.keys(document.components.responses)).toContain(`openai-${errorTable[code].status}-${code}`);
});

test("the same failures have the same name, and others have another", () => {
  const { responses } = document.components;
  const texts = Object.values(responses).map((response) => JSON.stringify(response));
  expect(new Set(texts).size).toBe(texts.length);
  const frontend = { ...plainFrontend, overloadStatus: 429 };
  expect(findResponse(describeFrontend("all", frontend), "POST", "/v1/messages", 429).response.description).toContain(
    errorTable.overloaded.meaning,
  );
});

test("where overload has the status of a frontend that is not ready, that status has both bodies", () => {
  const api = describeFrontend("all", { overloadStatus: 503 });
  const { response, pointer } = findResponse(api, "GET", "/health", 503);
  expect(response.description).toContain(errorTable.overloaded.meaning);
  expect(Object.keys(response.headers ?? {})).toContain("retry-after");
  const judge = createJudge(api)(`${pointer}/content/application~1json/schema`);
  const notReady = { status: "not_ready", stage: "draining", message: "" };
  const overloaded = { error: { message: "", type: "overloaded_error", param: null, code: "overloaded" } };
  expect([judge(notReady), judge(overloaded), judge({}).length > 0]).toEqual([[], [], true]);
});

test("it says where a key is asked for", () => {
  const closed = describeFrontend("all", { isOpen: (audience) => audience === "anybody" });
  const securityOf = (api: OpenApiDocument, path: string): unknown => {
    const { get, post } = api.paths[path] ?? {};
    return (post ?? get)?.security;
  };
  const [client, operator] = [
    [{ apiKey: [] }, { apiKeyHeader: [] }],
    [{ operatorKey: [] }, { operatorKeyHeader: [] }],
  ];
  for (const path of [...inference, "/v1/models"]) {
    expect(securityOf(document, path)).toEqual([{}, ...client]);
    expect(securityOf(closed, path)).toEqual(client);
  }
  expect(securityOf(closed, "/metrics")).toEqual(operator);
  expect(securityOf(closed, "/v1/requests/{id}")).toEqual([...client, ...operator]);
  expect(securityOf(closed, "/health")).toEqual([]);
});

test("no alternatives stand beside fields: generators of clients would take any of them for the whole", () => {
  const beside: unknown[] = [];
  const look = (json: unknown): void => {
    if (typeof json !== "object" || json === null) return;
    if ("properties" in json && ("anyOf" in json || "oneOf" in json)) beside.push(json);
    Object.values(json).forEach(look);
  };
  look(document.components.schemas);
  expect(beside).toEqual([]);
});

test("every field of a body has words, and every schema can be compiled", () => {
  const judge = createJudge(document);
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    judge(`/components/schemas/${name}`);
    if (!name.endsWith("Request")) continue;
    for (const [field, each] of Object.entries(schema.properties ?? {}))
      expect(each, `${name}.${field}`).toMatchObject({ description: expect.stringMatching(/\.$/) });
  }
});

test("its examples are what it describes", () => {
  const judge = createJudge(document);
  for (const [path, method] of operations(document)) {
    const { requestBody, responses } = operationOf(document, method, path);
    const at = `/paths/${escapePointer(path)}/${method}`;
    for (const { value } of Object.values(requestBody?.content["application/json"]?.examples ?? {}))
      expect(judge(`${at}/requestBody/content/application~1json/schema`)(value)).toEqual([]);
    for (const [status, response] of Object.entries(responses)) {
      if ("$ref" in response) continue;
      for (const [type, media] of Object.entries(response.content ?? {})) {
        const pointer = `${at}/responses/${status}/content/${escapePointer(type)}`;
        if (media.example === undefined) continue;
        if (type !== "text/event-stream") expect(judge(`${pointer}/schema`)(media.example)).toEqual([]);
        else expect(judgeEvents(judge, pointer, media, readEvents(media.example as string))).toEqual([]);
      }
    }
  }
});
