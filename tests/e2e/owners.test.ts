// What a key sees of the requests of others: nothing. What operators see: all of it.
import type { Frontend } from "@dyn/frontend";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chat, eventually, postChat } from "../support/cluster.ts";
import {
  askAsAnn,
  countExemplars,
  get,
  keys,
  openMetrics,
  startOwners,
  statuses,
  traceId,
  type Owners,
} from "./owners.ts";

let owners: Owners;
beforeAll(async () => {
  owners = await startOwners();
});
afterAll(() => owners[Symbol.asyncDispose]());

describe("with keys of clients and of operators", () => {
  let frontend: Frontend;
  beforeAll(async () => {
    frontend = await owners.start({
      apiKeysFile: owners.apiKeysFile,
      config: { operatorKeysFile: owners.operatorKeysFile },
    });
  });
  afterAll(() => frontend[Symbol.asyncDispose]());

  test("a request is there for the key that made it and for operators; for another key it is an unknown one to the last character", async () => {
    const ids = await askAsAnn(frontend);
    for (const id of ids) {
      expect(await statuses(frontend, `/v1/requests/${id}`)).toEqual({
        ann: 200,
        bob: 404,
        prometheus: 200,
        nobody: 401,
      });
      const hidden = await get(frontend, `/v1/requests/${id}`, "bob");
      const unknown = await get(frontend, `/v1/requests/${id.replace(/.$/, "_")}`, "bob");
      expect(hidden.text.replace(id, "ID")).toBe(unknown.text.replace(id.replace(/.$/, "_"), "ID"));
    }
  });

  test("a key that uses another's client id and trace sees its own request alone", async () => {
    await askAsAnn(frontend);
    const headers = {
      "x-api-key": keys.bob,
      "x-request-id": "order-4711",
      traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
    };
    const own = (await postChat(frontend.url, chat("x"), headers)).headers.get("request-id");
    for (const id of ["order-4711", traceId]) {
      const { text } = await get(frontend, `/v1/requests/${id}`, "bob");
      expect(JSON.parse(text)).toMatchObject({ request_id: own });
      expect(text).not.toContain("others");
      expect(JSON.parse((await get(frontend, `/v1/requests/${id}`, "prometheus")).text)).toMatchObject({
        others: expect.any(Array),
      });
    }
  });

  test("requests without a key are not remembered, so that they push out none of a client's", async () => {
    await using small = await owners.start({ apiKeysFile: owners.apiKeysFile, requestHistory: 2 });
    const [id = ""] = await askAsAnn(small);
    const refused = await Promise.all(Array.from({ length: 5 }, () => postChat(small.url, chat("x"))));
    expect(refused.map(({ status }) => status)).toEqual(refused.map(() => 401));
    expect((await get(small, `/v1/requests/${id}`, "ann")).status).toBe(200);
  });

  test("metrics are for operators, with exemplars", async () => {
    expect(await statuses(frontend, "/metrics")).toEqual({ ann: 401, bob: 401, prometheus: 200, nobody: 401 });
    expect((await get(frontend, "/metrics", "ann")).text).toContain("the operator's key is not known here");
    expect((await get(frontend, "/metrics", "nobody")).text).toContain("an operator's key is required");
    expect(countExemplars((await get(frontend, "/metrics", "prometheus", openMetrics)).text)).toBeGreaterThan(0);
  });

  test("probes need no key, and say who is there to operators alone", async () => {
    for (const who of ["ann", "nobody"] as const) {
      expect(await get(frontend, "/health", who)).toEqual({ status: 200, text: '{"status":"healthy"}' });
      expect(await get(frontend, "/live", who)).toEqual({
        status: 200,
        text: '{"status":"live","message":"Service is live"}',
      });
    }
    expect((await get(frontend, "/health", "prometheus")).text).toMatch(/"tcp":"127\.0\.0\.1:\d+/);
    expect((await get(frontend, "/live", "prometheus")).text).toContain('"discovery":{"state":"listing"}');
  });

  test("an operator's key asks no model", async () => {
    expect((await postChat(frontend.url, chat("x"), { "x-api-key": keys.prometheus })).status).toBe(401);
    expect((await get(frontend, "/v1/models", "prometheus")).status).toBe(401);
    expect((await get(frontend, "/v1/models", "ann")).status).toBe(200);
  });
});

test("with keys of clients alone nobody is an operator: metrics have no exemplars, and a request is its key's alone", async () => {
  await using frontend = await owners.start({ apiKeysFile: owners.apiKeysFile });
  for (const id of await askAsAnn(frontend))
    expect(await statuses(frontend, `/v1/requests/${id}`)).toEqual({
      ann: 200,
      bob: 404,
      prometheus: 401,
      nobody: 401,
    });
  for (const who of ["ann", "nobody"] as const) {
    const { status, text } = await get(frontend, "/metrics", who, openMetrics);
    expect({ status, exemplars: countExemplars(text) }).toEqual({ status: 200, exemplars: 0 });
    expect(text).not.toContain(traceId);
    expect((await get(frontend, "/health", who)).text).toBe('{"status":"healthy"}');
  }
});

test("with keys of operators alone everybody asks models, and only operators see requests", async () => {
  await using frontend = await owners.start({ config: { operatorKeysFile: owners.operatorKeysFile } });
  for (const id of await askAsAnn(frontend))
    expect(await statuses(frontend, `/v1/requests/${id}`)).toEqual({
      ann: 401,
      bob: 401,
      prometheus: 200,
      nobody: 401,
    });
  expect(await statuses(frontend, "/metrics")).toMatchObject({ nobody: 401, prometheus: 200 });
  expect(await statuses(frontend, "/v1/models")).toMatchObject({ nobody: 200, prometheus: 200 });
});

test("without keys everybody sees all of it", async () => {
  await using frontend = await owners.start();
  for (const id of await askAsAnn(frontend))
    expect((await get(frontend, `/v1/requests/${id}`, "nobody")).status).toBe(200);
  expect(countExemplars((await get(frontend, "/metrics", "nobody", openMetrics)).text)).toBeGreaterThan(0);
  expect((await get(frontend, "/health", "nobody")).text).toMatch(/"tcp":"127\.0\.0\.1:\d+/);
});

test("keys of operators come and go with their file", async () => {
  const path = await owners.writeKeys("changing", "prometheus");
  await using frontend = await owners.start({ apiKeysFile: owners.apiKeysFile, config: { operatorKeysFile: path } });
  expect((await get(frontend, "/metrics", "bob")).status).toBe(401);
  await owners.writeKeys("changing", "bob");
  await eventually("the other key", async () => (await get(frontend, "/metrics", "bob")).status === 200);
  expect((await get(frontend, "/metrics", "prometheus")).status).toBe(401);
});
