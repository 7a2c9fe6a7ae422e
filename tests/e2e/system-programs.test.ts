// The system server of whole programs: draining, several workers in one process, the examples, its port.
import { createRuntime, version } from "@dyn/runtime";
import { expect, test } from "vitest";
import {
  chat,
  eventually,
  lineOf,
  postChat,
  release,
  startCluster,
  startProgram,
  systemUrl,
} from "../support/cluster.ts";
import { parseOpenMetrics } from "../support/open-metrics.ts";
import { createLogger } from "../support/logger.ts";
import { discovery, probe, uptime } from "./probes.ts";

const silent = createLogger({ sink: () => undefined });

test("a worker on SIGTERM says so until its last request is out", async () => {
  await using cluster = await startCluster({ workerArgs: ["--fault", "hang@2"], env: { DYN_SYSTEM_PORT: "0" } });
  const [worker] = cluster.workers;
  const url = systemUrl(worker);
  expect(await probe(`${url}/health`)).toEqual({
    status: 200,
    body: {
      status: "ready",
      stage: "serving",
      version,
      uptime,
      endpoints: { generate: "ready" },
      checks: {},
      discovery,
    },
  });
  const answer = postChat(cluster.url, chat("a b c d", { stream: true })).then((response) => response.text());
  await lineOf(worker, "request received");
  worker?.kill("SIGTERM");
  const draining = await eventually("the drain", async () => {
    const health = await probe(`${url}/health`);
    return health.status === 503 && health;
  });
  expect(draining.body).toEqual({
    status: "notready",
    stage: "draining",
    version,
    uptime,
    endpoints: { generate: "notready" },
    checks: {},
    discovery,
  });
  expect((await probe(`${url}/live`)).status).toBe(200);
  const exposed = parseOpenMetrics(
    await (await fetch(`${url}/metrics`, { headers: { accept: "application/openmetrics-text" } })).text(),
  );
  expect(exposed.value("dynamo_component_inflight_requests")).toBe(1);
  expect(worker?.child.exitCode).toBeNull();
  await release(worker);
  expect((await answer).endsWith("data: [DONE]\n\n")).toBe(true);
  expect(await worker?.exited).toBe(0);
  await expect(fetch(`${url}/live`)).rejects.toThrow();
});

test("workers of one process share one server, which is ready while all of them are", async () => {
  await using cluster = await startCluster({ workerArgs: ["--num-workers", "3"], env: { DYN_SYSTEM_PORT: "0" } });
  const [worker] = cluster.workers;
  await eventually(
    "all three",
    () => worker?.lines().filter(({ message }) => message === "endpoint is serving").length === 3,
  );
  expect(worker?.lines().filter(({ message }) => message === "system server is listening")).toHaveLength(1);
  const url = systemUrl(worker);
  expect((await probe(`${url}/health`)).body).toMatchObject({ status: "ready", endpoints: { generate: "ready" } });
  const exposed = parseOpenMetrics(
    await (await fetch(`${url}/metrics`, { headers: { accept: "application/openmetrics-text" } })).text(),
  );
  const instances = worker
    ?.lines()
    .filter(({ message }) => message === "endpoint is serving")
    .map((line) => String(line["instance_id"]));
  for (const name of ["dynamo_component_uptime_seconds", "dynamo_component_requests_total"]) {
    expect(new Set(exposed.find(name).map(({ labels }) => labels["worker_id"]))).toEqual(new Set(instances));
  }
  worker?.kill("SIGTERM");
  expect(await worker?.exited).toBe(0);
});

test("an example has it too; its metrics have no model", async () => {
  await using cluster = await startCluster({ workers: 0 });
  await using greeter = startProgram("node", ["examples/greeter.ts"], {
    DYN_FILE_KV: cluster.directory,
    DYN_SYSTEM_PORT: "0",
  });
  await lineOf(greeter, "endpoint is serving");
  const url = systemUrl(greeter);
  expect(await probe(`${url}/health`)).toMatchObject({ status: 200, body: { endpoints: { generate: "ready" } } });
  const text = await (await fetch(`${url}/metrics`)).text();
  expect(text).toMatch(
    /^dynamo_component_requests_total\{dynamo_component="greeter",dynamo_endpoint="generate",dynamo_namespace="demo",worker_id="[0-9]+"\} 0$/m,
  );
});

test("it is off by default, and a frontend leaves the variable to workers", async () => {
  await using runtime = await createRuntime({ config: { discoveryBackend: "mem" }, environment: {}, log: silent.pino });
  expect(runtime.system.port).toBeUndefined();
  await using cluster = await startCluster({ env: { DYN_SYSTEM_PORT: "0" } });
  expect(cluster.frontend.lines().some(({ message }) => message === "system server is listening")).toBe(false);
  await using asked = startProgram("dyn-frontend", ["--system-port", "0"]);
  expect(await asked.exited).not.toBe(0);
  expect(asked.stderr()).toContain("unknown option '--system-port'");
});

test("a port in use is one clear line and a non-zero exit", async () => {
  await using cluster = await startCluster({ env: { DYN_SYSTEM_PORT: "0" } });
  const port = new URL(systemUrl(cluster.workers[0])).port;
  await using second = startProgram("dyn-mock-worker", ["--system-port", port], { DYN_FILE_KV: cluster.directory });
  expect(await second.exited).toBe(1);
  expect(second.stderr().trim().split("\n")).toHaveLength(1);
  expect(second.stderr()).toContain(`cannot listen on http://127.0.0.1:${port}: `);
  expect(second.stderr()).toContain("; choose another port with --system-port or DYN_SYSTEM_PORT");
});
