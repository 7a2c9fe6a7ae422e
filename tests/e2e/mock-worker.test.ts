// The mock worker's own promises: how many, how fast, how reproducible, and one end for all.
import { readdir, rename, symlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { createFrontend } from "@dyn/frontend";
import { parseFaults, startMockWorker, type MockOptions } from "@dyn/mock-worker";
import { createMemorySpace, createRuntime } from "@dyn/runtime";
import type { Delta } from "@dyn/runtime/llm";
import type { ModelJob } from "@dyn/runtime/internal";
import { expect, test } from "vitest";
import { createLogger } from "../support/logger.ts";
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
import { openDirectory } from "../support/directory.ts";

const job: ModelJob = { model: "mock", messages: [{ role: "user", text: "one two three" }], stop: [], sampling: {} };

interface Timed {
  readonly deltas: readonly Delta[];
  readonly firstMs: number;
  readonly allMs: number;
}

async function ask(options: Partial<MockOptions>): Promise<Timed> {
  await using directory = await openDirectory("dyn-mock-");
  const config = { fileKv: directory.path, log: "off" };
  await using _worker = await startMockWorker({ ...options, config });
  await using runtime = await createRuntime({ config });
  const client = runtime.client<ModelJob, Delta>("dyn://dynamo.backend.generate");
  await client.waitForInstances();
  const startedAt = performance.now();
  let firstMs = 0;
  const deltas: Delta[] = [];
  for await (const delta of client.generate(job)) {
    if (deltas.length === 0) firstMs = performance.now() - startedAt;
    deltas.push(delta);
  }
  return { deltas, firstMs, allMs: performance.now() - startedAt };
}

test("the same seed gives the same token ids, another one others", async () => {
  const idsOf = async (seed: number): Promise<number[]> =>
    (await ask({ seed })).deltas.flatMap(({ tokenIds }) => tokenIds ?? []);
  const ids = await idsOf(7);
  expect(ids).toHaveLength(3);
  expect(new Set(ids).size).toBe(3);
  expect(await idsOf(7)).toEqual(ids);
  const others = await idsOf(8);
  for (const [index, id] of others.entries()) expect(id).not.toBe(ids[index]);
});

test("the first token takes ttftMs, each further one itlMs, all divided by speedupRatio", async () => {
  const slow = await ask({ ttftMs: 200, itlMs: 50 });
  expect(slow.firstMs).toBeGreaterThan(195);
  expect(slow.allMs).toBeGreaterThan(295);
  const hour = 3_600_000;
  const quick = await ask({ ttftMs: hour, itlMs: hour, speedupRatio: hour / 100 });
  expect(quick.firstMs).toBeGreaterThan(95);
  expect(quick.allMs).toBeGreaterThan(295);
  await ask({ ttftMs: hour, itlMs: hour, speedupRatio: 0 });
});

test("its flags reach the engine", async () => {
  await using cluster = await startCluster({
    workerArgs: ["--ttft-ms", "3600000", "--itl-ms", "3600000", "--speedup-ratio", "36000"],
  });
  expect((await postChat(cluster.url, chat("one two"))).status).toBe(200);
  const completed = await lineOf(cluster.workers[0], "request completed");
  expect(completed["ttft_ms"]).toBeGreaterThan(95);
  expect(completed["avg_itl_ms"]).toBeGreaterThan(95);
});

test("twelve workers in one process are twelve instances with one end", async () => {
  await using cluster = await startCluster({ workers: 0 });
  const worker = await cluster.addWorker("--num-workers", "12");
  const instances = await eventually("all of them", async () => {
    const health = (await (await fetch(`${cluster.url}/health`)).json()) as {
      instances: { instance_id: string; transport: { tcp: string } }[];
    };
    return health.instances.length === 12 && health.instances;
  });
  expect(new Set(instances.map(({ instance_id }) => instance_id)).size).toBe(12);
  expect(new Set(instances.map(({ transport }) => transport.tcp.split("/")[0])).size).toBe(12);
  worker.kill("SIGTERM");
  expect(await worker.exited).toBe(0);
  expect(worker.stderr()).not.toContain("MaxListeners");
  expect(worker.lines().filter(({ message }) => String(message).startsWith("shutdown requested"))).toHaveLength(1);
});

test("a signal in the middle of the start ends all that has begun", async () => {
  await using directory = await openDirectory("dyn-mock-");
  await using worker = startProgram("dyn-mock-worker", ["--num-workers", "1000"], { DYN_FILE_KV: directory.path });
  await lineOf(worker, "endpoint is serving");
  worker.kill("SIGTERM");
  expect(await worker.exited).toBe(0);
  expect(await readdir(join(directory.path, "v1/instances"))).toEqual([]);
  expect(await readdir(join(directory.path, "v1/mdc"))).toEqual([]);
  expect(worker.lines().filter(({ level }) => level === "ERROR")).toEqual([]);
});

test("a drain that fails is told to whoever disposes, and crashes nobody who does not look at closed", async () => {
  await using directory = await openDirectory("dyn-mock-");
  const worker = await startMockWorker({ config: { fileKv: directory.path, log: "off" } });
  const instances = join(directory.path, "v1/instances");
  await rename(instances, `${instances}-before`);
  await symlink(basename(instances), instances); // a link to itself: nothing in it can be removed
  await Promise.resolve(worker[Symbol.asyncDispose]()).catch(() => undefined);
  await new Promise((resolve) => setImmediate(resolve));
});

test("a crash in a process of one's own ends the worker that meets it without a word, and neither the others nor the process", async () => {
  const memorySpace = createMemorySpace();
  const config = { discoveryBackend: "mem", log: "off,request_span=off" } as const;
  const lines: Readonly<Record<string, unknown>>[] = [];
  await using runtime = await createRuntime({
    config,
    memorySpace,
    log: createLogger({ sink: (record) => lines.push(record) }).pino,
  });
  await using worker = await startMockWorker({ config, memorySpace, numWorkers: 2, fault: parseFaults("crash@2") });
  const [first, second] = worker.servings.map(({ instanceId }) => instanceId);
  await using frontend = await createFrontend({ runtime, httpPort: 0 });
  const ask = async (): Promise<string> =>
    (await postChat(frontend.url, chat("one two three", { stream: true }))).text();
  const whole = await ask(); // the other worker gave the rest
  expect(whole).toContain('"content":" three"');
  expect(whole).toContain("[DONE]");
  using client = runtime.client("dyn://dynamo.backend.generate");
  await eventually("one left", () => client.instances.length === 1);
  expect([first, second]).toContain(client.instances[0]?.id);
  const broken = await ask();
  expect(broken).toContain('"content":" two"');
  expect(broken).not.toContain('"content":" three"');
  expect(broken).not.toContain("[DONE]");
  const attempts = lines.filter(({ target }) => target === "request_span").map((line) => line["request.outcome"]);
  expect(attempts).toEqual(["worker_disconnected", "worker_disconnected"]); // that of the rest is no failure
  await worker.closed;
  await eventually("nobody left", () => client.instances.length === 0);
  await using _next = await startMockWorker({ config, memorySpace });
  const answered = await eventually("an answer of the next worker", async () => {
    const response = await postChat(frontend.url, chat("one two three"));
    return response.status === 200 && response.text();
  });
  expect(answered).toContain('"one two three"');
});

test("with --max-num-seqs 1 it makes one completion at a time, however many a request asks for, and serves another request in between", async () => {
  const workerArgs = ["--max-num-seqs", "1", "--fault", "hang@2"];
  await using cluster = await startCluster({ workerArgs, env: { DYN_SYSTEM_PORT: "0" } });
  const [worker] = cluster.workers;
  const counts = async (): Promise<string> => {
    const headers = { accept: "application/openmetrics-text" };
    const page = parseOpenMetrics(await (await fetch(`${systemUrl(worker)}/metrics`, { headers })).text());
    return ["places", "places_taken", "queue_depth"].map((name) => page.value(`dynamo_work_handler_${name}`)).join();
  };
  const many = fetch(`${cluster.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "mock", prompt: ["a b c", "d e f"], n: 2, stream: true }),
  });
  await eventually("one that runs and three that wait", async () => (await counts()) === "1,1,3");
  const other = postChat(cluster.url, chat("other"));
  await eventually("the other one waiting", async () => (await counts()) === "1,1,4");
  await release(worker);
  const events = (await (await many).text()).split("\n\n").filter((event) => event.includes('"text"'));
  const choices = events.flatMap(
    (event) => (JSON.parse(event.slice(6)) as { choices: { index: number; text: string }[] }).choices,
  );
  const order = choices.map(({ index }) => index);
  expect(order).toEqual(order.toSorted((left, right) => left - right)); // none begins before the one before it has ended
  expect(
    Object.values(Object.groupBy(choices, ({ index }) => index)).map((pieces) =>
      pieces?.map(({ text }) => text).join(""),
    ),
  ).toEqual(["a b c", "a b c", "d e f", "d e f"]);
  expect((await other).status).toBe(200);
  await eventually("all places being free", async () => (await counts()) === "1,0,0");
});
