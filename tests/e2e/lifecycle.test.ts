// Joining, leaving, cancelling: processes and signals.
import { expect, test } from "vitest";
import {
  chat,
  eventually,
  lineOf,
  postChat,
  startCluster,
  startProgram,
  type ClusterOptions,
  type Program,
} from "../support/cluster.ts";

// A request is held after its first two tokens until it is released, however long that takes.
const held: ClusterOptions = { workerArgs: ["--fault", "hang@2"], env: { DYN_SYSTEM_PORT: "0" } };

test("without a worker the model is unknown; one that joins gets traffic", async () => {
  await using cluster = await startCluster({ workers: 0 });
  expect((await postChat(cluster.url, chat("hi"))).status).toBe(404);
  await using worker = startProgram("dyn-mock-worker", [], { DYN_FILE_KV: cluster.directory });
  await lineOf(worker, "endpoint is serving");
  await eventually("an answer", async () => (await postChat(cluster.url, chat("hi"))).ok);
});

test("workers share the traffic, and one that leaves gets nothing more while it drains", async () => {
  await using cluster = await startCluster({ ...held, workers: 2 });
  const [staying, leaving] = cluster.workers as [Program, Program];
  const count = (worker: Program, message: string): number =>
    worker.lines().filter((line) => line["message"] === message).length;
  const aborter = new AbortController();
  const streams = [1, 2].map(() =>
    postChat(cluster.url, chat("word ".repeat(1_000), { stream: true }), {}, aborter.signal),
  );
  await eventually("both being busy", () =>
    [staying, leaving].every((worker) => count(worker, "request received") === 1),
  );
  leaving.kill("SIGTERM");
  await eventually("its instance being gone", async () => {
    const health = (await (await fetch(`${cluster.url}/health`)).json()) as { instances: unknown[] };
    return health.instances.length === 1;
  });
  for (let index = 0; index < 10; index += 1) expect((await postChat(cluster.url, chat("hi"))).status).toBe(200);
  await eventually("the lines of all of them", () => count(staying, "request received") >= 11);
  expect(leaving.child.exitCode).toBeNull(); // it still runs its request
  expect(count(leaving, "request received")).toBe(1);
  expect(count(leaving, "request refused")).toBe(0);
  expect(count(staying, "request received")).toBe(11);
  for (const { body } of await Promise.all(streams)) await body?.getReader().read();
  aborter.abort();
  expect(await leaving.exited).toBe(0);
});

test("a client that leaves aborts the engine, and both sides say cancelled", async () => {
  await using cluster = await startCluster(held);
  const aborter = new AbortController();
  const response = await postChat(cluster.url, chat("word ".repeat(1_000), { stream: true }), {}, aborter.signal);
  await response.body?.getReader().read();
  aborter.abort();
  for (const program of [cluster.frontend, ...cluster.workers]) {
    const completed = await lineOf(program, "request completed");
    expect(completed).toMatchObject({ level: "INFO", status: "cancelled", error_type: "cancelled" });
    expect(completed["output_tokens"]).toBeGreaterThan(0);
  }
});

test("a killed worker ends its stream with an error event and the next request goes elsewhere", async () => {
  await using cluster = await startCluster({ workerArgs: ["--fault", "hang@2"] });
  const response = await postChat(cluster.url, chat("a b c d", { stream: true }));
  cluster.workers[0]?.kill("SIGKILL");
  const text = await response.text();
  expect(text).toContain('"code":"worker_disconnected"');
  expect(text).not.toContain("[DONE]");
  expect(text).not.toContain("127.0.0.1");
  const completed = await lineOf(cluster.frontend, "request completed");
  expect(completed).toMatchObject({ level: "ERROR", status: "error", error_type: "unavailable" });
  await cluster.addWorker();
  expect((await postChat(cluster.url, chat("here"))).status).toBe(200);
});

test("a reader that stops holds its own stream, not its neighbours", async () => {
  await using cluster = await startCluster({ workerArgs: ["--max-num-seqs", "10"] });
  const long = "word ".repeat(200_000);
  const slow = await postChat(cluster.url, chat(long, { stream: true }));
  await slow.body?.getReader().read();
  for (let index = 0; index < 20; index += 1) expect((await postChat(cluster.url, chat("quick"))).status).toBe(200);
  const finished = cluster.workers[0]
    ?.lines()
    .filter((line) => line["message"] === "request completed" && Number(line["output_tokens"]) > 1_000);
  expect(finished).toEqual([]);
});

test("the process a user starts from node_modules/.bin is the server itself", async () => {
  await using cluster = await startCluster({ workers: 1 });
  const [worker] = cluster.workers;
  expect(worker?.lines().length).toBeGreaterThan(0);
  process.kill(worker?.pid ?? -1, "SIGTERM");
  expect(await worker?.exited).toBe(0);
});
