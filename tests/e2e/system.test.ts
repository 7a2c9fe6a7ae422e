// The system server of a runtime: what probes see before, while and after it serves, and what else it answers.
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startMockWorker } from "@dyn/mock-worker";
import { expect, test } from "vitest";
import { createMemorySpace, createRuntime, version } from "@dyn/runtime";
import { parseLogFilter } from "../../packages/runtime/src/logging/filter.ts";
import { createLogger } from "../support/logger.ts";
import { eventually } from "../support/cluster.ts";
import { replacePath } from "../runtime/discovery/spaces.ts";
import { discovery, probe, uptime } from "./probes.ts";

const config = { discoveryBackend: "mem", systemPort: 0 } as const;
const silent = createLogger({ sink: () => undefined });

test("ready only while every endpoint serves; a slow request holds the drain, and the server outlives it", async () => {
  const memorySpace = createMemorySpace();
  const runtime = await createRuntime({ config, log: silent.pino, memorySpace });
  await using caller = await createRuntime({ config: { ...config, systemPort: -1 }, log: silent.pino, memorySpace });
  const url = `http://127.0.0.1:${runtime.system.port}`;
  const live = { status: 200, body: { status: "live", uptime, discovery } };
  expect(await probe(`${url}/live`)).toEqual(live);
  expect(await probe(`${url}/health`)).toEqual({
    status: 503,
    body: { status: "notready", stage: "starting", version, uptime, endpoints: {}, checks: {}, discovery },
  });
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  await runtime.endpoint("dyn://test.system.one").serve(async function* () {
    begun.resolve();
    await released;
    yield "done";
  });
  expect(await probe(`${url}/health`)).toEqual({
    status: 200,
    body: { status: "ready", stage: "serving", version, uptime, endpoints: { one: "ready" }, checks: {}, discovery },
  });
  const other = await runtime.endpoint("dyn://test.system.two").serve(async function* () {
    yield 1;
  });
  expect(await probe(`${url}/health`)).toMatchObject({
    status: 200,
    body: { endpoints: { one: "ready", two: "ready" } },
  });
  await other[Symbol.asyncDispose]();
  expect(await probe(`${url}/health`)).toMatchObject({ status: 200, body: { endpoints: { one: "ready" } } });
  const client = caller.client<unknown, string>("dyn://test.system.one");
  await client.waitForInstances();
  const answer = (async () => {
    const items = [];
    for await (const item of client.generate({})) items.push(item);
    return items;
  })();
  await begun.promise;
  const closing = runtime[Symbol.asyncDispose]();
  expect(await probe(`${url}/health`)).toEqual({
    status: 503,
    body: {
      status: "notready",
      stage: "draining",
      version,
      uptime,
      endpoints: { one: "notready" },
      checks: {},
      discovery,
    },
  });
  expect(await probe(`${url}/live`)).toEqual(live);
  expect((await fetch(`${url}/metrics`)).status).toBe(200);
  release();
  expect(await answer).toEqual(["done"]);
  await closing;
  await expect(fetch(`${url}/live`)).rejects.toThrow();
});

test("a worker whose discovery directory is lost stays ready and says so", async () => {
  const directory = await mkdtemp(join(tmpdir(), "dyn-system-"));
  const fileKv = join(directory, "kv");
  await using runtime = await createRuntime({ config: { fileKv, systemPort: 0 }, environment: {}, log: silent.pino });
  const url = `http://127.0.0.1:${runtime.system.port}`;
  await runtime.endpoint("dyn://test.system.one").serve(async function* () {
    yield 1;
  });
  using _looking = runtime.client("dyn://test.system.one");
  await writeFile(`${fileKv}-file`, "");
  await replacePath(`${fileKv}-file`, fileKv);
  const shown = await eventually("the trouble", async () => {
    const health = await probe(`${url}/health`);
    return JSON.stringify(health.body).includes("degraded") && health;
  });
  const degraded = { state: "degraded", reason: expect.stringContaining("ENOTDIR"), since: expect.any(String) };
  expect(shown).toMatchObject({ status: 200, body: { status: "ready", discovery: degraded } });
  expect(await probe(`${url}/live`)).toMatchObject({ status: 200, body: { discovery: degraded } });
  await runtime[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

test("what is not there, and what is not allowed", async () => {
  await using runtime = await createRuntime({ config, log: silent.pino });
  const url = `http://127.0.0.1:${runtime.system.port}`;
  expect(await probe(`${url}/nothing?x=1`)).toEqual({ status: 404, body: { error: "Route not found: GET /nothing" } });
  expect(await probe(`${url}/healthy`)).toMatchObject({ status: 404 });
  const posted = await fetch(`${url}/metrics`, { method: "POST", body: "x".repeat(1_000_000) });
  expect([posted.status, posted.headers.get("allow"), posted.headers.get("connection")]).toEqual([
    405,
    "GET, HEAD",
    "close",
  ]);
  const head = await fetch(`${url}/health?verbose`, { method: "HEAD" });
  expect([head.status, await head.text()]).toEqual([503, ""]);
  const id = "0b6d2cde-4f3e-4a7b-9f83-2f2a35f3d3a1";
  const named = await fetch(`${url}/live`, { headers: { "request-id": id, "x-request-id": "probe 7" } });
  expect([named.headers.get("request-id"), named.headers.get("x-request-id")]).toEqual([id, id]);
  const sane = await fetch(`${url}/live`, { headers: { "x-request-id": "probe-7" } });
  expect(sane.headers.get("x-request-id")).toBe("probe-7");
});

test("its root says what it is, also to HEAD", async () => {
  await using runtime = await createRuntime({ config, log: silent.pino });
  runtime.system.addRoute("/lamp", { read: () => "off", orders: { PUT: () => undefined } });
  const url = `http://127.0.0.1:${runtime.system.port}/`;
  const routes = ["GET /", "GET /live", "GET /health", "GET /metrics", "GET /lamp", "PUT /lamp"];
  expect(await probe(url)).toEqual({ status: 200, body: { name: "dyn system server", routes } });
  const head = await fetch(url, { method: "HEAD" });
  expect([head.status, await head.text()]).toEqual([200, ""]);
});

test.each(["debug", "info"])("probes have a line each at debug, and none at info (%s)", async (level) => {
  const records: Record<string, unknown>[] = [];
  const log = createLogger({ sink: (record) => records.push(record), filter: parseLogFilter(level) });
  await using runtime = await createRuntime({ config, log: log.pino });
  const response = await fetch(`http://127.0.0.1:${runtime.system.port}/health`, {
    headers: { "x-request-id": "probe-7" },
  });
  await response.text();
  const line = {
    level: "DEBUG",
    message: "http response sent",
    method: "GET",
    uri: "/health",
    status: 503,
    x_request_id: "probe-7",
  };
  const lines = (): unknown[] => records.filter(({ target }) => target === "system_span");
  if (level === "info") expect(lines()).toEqual([]);
  else
    expect(await eventually("the line", () => lines()[0])).toMatchObject({
      ...line,
      request_id: response.headers.get("request-id"),
    });
});

test("the first part of a worker's metric names can be chosen", async () => {
  await using runtime = await createRuntime({
    config: { ...config, componentMetricsPrefix: "acme_worker" },
    log: silent.pino,
  });
  const text = await (await fetch(`http://127.0.0.1:${runtime.system.port}/metrics`)).text();
  expect(text).toContain("# TYPE acme_worker_uptime_seconds gauge");
  expect(text).not.toContain("dynamo_component_");
});

test("with operators' keys strangers learn that it lives and whether it is ready, read nothing else and give no orders", async () => {
  const directory = await mkdtemp(join(tmpdir(), "dyn-operators-"));
  const [operatorKeysFile, key] = [join(directory, "keys"), "key-of-prometheus-0123456789"];
  await writeFile(operatorKeysFile, createHash("sha256").update(key).digest("hex"));
  const worker = await startMockWorker({ config: { ...config, log: "off", operatorKeysFile } });
  try {
    const url = `http://127.0.0.1:${worker.systemPort}`;
    const ask = async (method: string, path: string, headers = {}): Promise<readonly [number, string]> => {
      const response = await fetch(`${url}${path}`, {
        method,
        headers,
        ...(method === "PUT" && { body: "error:overloaded" }),
      });
      expect(response.headers.get("www-authenticate")).toBe(response.status === 401 ? "Bearer" : null);
      return [response.status, await response.text()];
    };
    expect(await ask("GET", "/live")).toEqual([200, '{"status":"live"}']);
    expect(await ask("GET", "/health")).toEqual([200, '{"status":"ready","stage":"serving"}']);
    const orders = [
      ["GET", "/metrics"],
      ["GET", "/faults"],
      ["PUT", "/faults"],
      ["DELETE", "/faults"],
    ] as const;
    for (const [method, path] of orders) {
      expect(await ask(method, path)).toEqual([401, expect.stringContaining("an operator's key is required")]);
      expect((await ask(method, path, { "x-api-key": "another-key-0123456789" }))[0]).toBe(401);
    }
    const headers = { authorization: `Bearer ${key}` };
    expect(await ask("GET", "/faults", headers)).toEqual([200, '{"faults":""}']); // the orders before were not obeyed
    for (const [method, path] of orders) expect((await ask(method, path, headers))[0]).toBe(200);
    expect(JSON.parse((await ask("GET", "/health", headers))[1])).toMatchObject({ status: "ready", uptime, discovery });
  } finally {
    await worker[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  }
});
