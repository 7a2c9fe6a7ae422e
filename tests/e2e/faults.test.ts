// Faults that are replaced while a worker runs: over its system server, and in process.
import { createFrontend } from "@dyn/frontend";
import { parseFaults, startMockWorker } from "@dyn/mock-worker";
import { createMemorySpace, createRuntime } from "@dyn/runtime";
import { expect, test } from "vitest";
import { chat, eventually, postChat, release, startCluster, systemUrl } from "../support/cluster.ts";

interface Told {
  readonly status: number;
  readonly body: unknown;
}

async function tell(url: string, method: string, body?: string): Promise<Told> {
  const response = await fetch(url, { method, ...(body !== undefined && { body }) });
  return { status: response.status, body: await response.json() };
}

async function ask(url: string): Promise<unknown> {
  const response = await postChat(url, chat("hi"));
  const { error } = (await response.json()) as { error?: { code: string } };
  return error ? error.code : response.status;
}

test("faults are shown, replaced and ended over the system server, for all workers of the process", async () => {
  await using cluster = await startCluster({
    workerArgs: ["--num-workers", "2", "--fault", "delay:1"],
    env: { DYN_SYSTEM_PORT: "0" },
  });
  const [worker] = cluster.workers;
  const url = `${systemUrl(worker)}/faults`;
  expect(await tell(url, "GET")).toEqual({ status: 200, body: { faults: "delay:1" } });
  expect(await ask(cluster.url)).toBe(200);
  expect(await tell(url, "PUT", "error:internal")).toEqual({ status: 200, body: { faults: "error:internal" } });
  expect(await Promise.all(Array.from({ length: 6 }, () => ask(cluster.url)))).toEqual(Array(6).fill("internal_error"));
  expect(await tell(url, "DELETE")).toEqual({ status: 200, body: { faults: "" } });
  expect(await ask(cluster.url)).toBe(200);
  const replaced = await eventually("both lines", () => {
    const lines = worker?.lines().filter(({ message }) => message === "faults replaced");
    return lines?.length === 2 && lines;
  });
  expect(replaced.map(({ faults }) => faults)).toEqual(["error:internal", ""]);
});

test("what is no list of faults changes nothing", async () => {
  await using worker = await startMockWorker({
    config: { discoveryBackend: "mem", systemPort: 0, log: "off" },
    fault: parseFaults("hang@7"),
  });
  const url = `http://127.0.0.1:${worker.systemPort}/faults`;
  expect(await tell(url, "PUT", "explode")).toEqual({
    status: 400,
    body: { error: expect.stringMatching(/^expected KIND/) },
  });
  expect(await tell(url, "PUT", "x".repeat(65_537))).toEqual({
    status: 413,
    body: { error: "the request body is larger than 65536 bytes, the limit" },
  });
  expect(await tell(url, "POST", "crash")).toEqual({
    status: 405,
    body: { error: "POST is not allowed on /faults, allowed: GET, HEAD, PUT, DELETE" },
  });
  expect(await tell(url, "GET")).toEqual({ status: 200, body: { faults: "hang@7" } });
});

test("a worker in this process is told by a call", async () => {
  const memorySpace = createMemorySpace();
  const config = { discoveryBackend: "mem", log: "off" } as const;
  await using runtime = await createRuntime({ config, memorySpace });
  await using frontend = await createFrontend({ runtime, httpPort: 0 });
  await using worker = await startMockWorker({ config, memorySpace });
  await eventually("the worker", async () => (await ask(frontend.url)) === 200);
  worker.inject(parseFaults("error:internal"));
  expect(await ask(frontend.url)).toBe("internal_error");
  worker.inject([]);
  expect(await ask(frontend.url)).toBe(200);
});

test("a request that hangs goes on when the faults are replaced", async () => {
  await using cluster = await startCluster({ workerArgs: ["--fault", "hang@2"], env: { DYN_SYSTEM_PORT: "0" } });
  const response = await postChat(cluster.url, chat("a b c d", { stream: true }));
  await release(cluster.workers[0]);
  const text = await response.text();
  expect(text).toContain('"content":" d"');
  expect(text).toContain("[DONE]");
});

test("a path of the system server is given once", async () => {
  await using runtime = await createRuntime({ config: { discoveryBackend: "mem", systemPort: 0, log: "off" } });
  const route = { read: () => 1, orders: {} };
  expect(() => runtime.system.addRoute("/health", route)).toThrow("/health of the system server is taken");
  runtime.system.addRoute("/mine", route);
  expect(() => runtime.system.addRoute("/mine", route)).toThrow("/mine of the system server is taken");
  expect(await tell(`http://127.0.0.1:${runtime.system.port}/mine`, "GET")).toEqual({ status: 200, body: 1 });
});
