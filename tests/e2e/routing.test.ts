// Where requests go, seen from the workers' lines: the router modes, a worker that keeps failing, one that is slow.
import { describe, expect, test } from "vitest";
import {
  chat,
  eventually,
  lineOf,
  postChat,
  release,
  startCluster,
  type Cluster,
  type Line,
  type Program,
} from "../support/cluster.ts";

function received(worker: Program): Line[] {
  return worker.lines().filter(({ message }) => message === "request received");
}

function idOf(worker: Program): string {
  return String(worker.lines().find(({ message }) => message === "endpoint is serving")?.["instance_id"]);
}

async function sendAll(
  cluster: Cluster,
  count: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<number[]> {
  const statuses: number[] = [];
  for (let index = 0; index < count; index += 1)
    statuses.push((await postChat(cluster.url, chat("hi"), headers)).status);
  return statuses;
}

test("a slow worker gets less when the least loaded is chosen", async () => {
  await using cluster = await startCluster({ workers: 0, frontendArgs: ["--router-mode", "least-loaded"] });
  const slow = await cluster.addWorker("--ttft-ms", "600000");
  const quick = await cluster.addWorker();
  const aborter = new AbortController();
  const held: Promise<unknown>[] = [];
  await eventually("one at the slow worker", async () => {
    let isAnswered = false;
    held.push(
      postChat(cluster.url, chat("hi"), {}, aborter.signal)
        .then(() => (isAnswered = true))
        .catch(() => undefined),
    );
    await eventually("an answer, or none from the slow worker", () => isAnswered || received(slow).length >= 1);
    return received(slow).length >= 1;
  });
  // One at the slow worker would not come back.
  expect(await sendAll(cluster, 20)).toEqual(Array.from({ length: 20 }, () => 200));
  await eventually("the lines of all of them", () => received(quick).length >= 20);
  aborter.abort();
  await Promise.all(held);
});

describe.each(["direct", "round-robin", "least-loaded"])(
  "a request that names an instance, with the router mode %s,",
  (mode) => {
    test("goes to it, and to no other", async () => {
      await using cluster = await startCluster({ workers: 2, frontendArgs: ["--router-mode", mode] });
      const [first, second] = cluster.workers;
      if (!first || !second) throw new Error("two workers were asked for");
      expect(await sendAll(cluster, 5, { "x-worker-instance-id": idOf(second) })).toEqual([200, 200, 200, 200, 200]);
      await eventually("all five there", () => received(second).length >= 5);
      expect([received(first).length, received(second).length]).toEqual([0, 5]);
      const unknown = await postChat(cluster.url, chat("hi"), { "x-worker-instance-id": "12" });
      expect([unknown.status, unknown.headers.get("retry-after")]).toEqual([503, "1"]);
      expect(await unknown.json()).toMatchObject({ error: { message: "instance 12 does not serve the endpoint" } });
      for (const id of ["worker-1", "0x1f", "007", "-1", "18446744073709551616", `${idOf(first)}, ${idOf(second)}`]) {
        const refused = await postChat(cluster.url, chat("hi"), { "x-worker-instance-id": id });
        const message = "x-worker-instance-id header must be the id of an instance as /health shows it, a decimal u64";
        expect([refused.status, await refused.json()]).toEqual([400, { error: expect.objectContaining({ message }) }]);
      }
      const nobody = await postChat(cluster.url, chat("hi"), { "x-worker-instance-id": "" });
      expect(nobody.status).toBe(mode === "direct" ? 400 : 200);
      if (mode === "direct")
        expect(await nobody.json()).toMatchObject({
          error: { message: "the policy is direct, and the request names no instance" },
        });
    });
  },
);

test("an answer of an instance that was named goes on nowhere else", async () => {
  await using cluster = await startCluster({ workers: 2, workerArgs: ["--fault", "cut@2"] });
  const [first, second] = cluster.workers;
  if (!first || !second) throw new Error("two workers were asked for");
  const headers = { "x-worker-instance-id": idOf(first) };
  const text = await (await postChat(cluster.url, chat("a b c d", { stream: true }), headers)).text();
  expect(text).toContain('"code":"worker_disconnected"');
  expect(received(second)).toEqual([]);
});

test("a worker that keeps failing is left alone, probed, and taken back", async () => {
  await using cluster = await startCluster({ workers: 0 });
  const bad = await cluster.addWorker("--fault", "error:internal");
  await cluster.addWorker();
  await sendAll(cluster, 6);
  const opened = await lineOf(cluster.frontend, "instance keeps failing, its circuit is open");
  expect(opened).toMatchObject({ level: "WARN", instance_id: idOf(bad), error: "the worker failed" });
  const before = 3;
  await eventually("the three that failed", () => received(bad).length >= before);
  expect(received(bad)).toHaveLength(before);
  // The circuit is open for a second, then for two, then for four: as many probes have been due, and nothing else goes there.
  const openedAt = performance.now();
  const statuses = await sendAll(cluster, 20);
  const due = (): number => Math.floor(Math.log2((performance.now() - openedAt) / 1_000 + 1));
  const probes = statuses.filter((status) => status === 500).length;
  expect(probes).toBeLessThanOrEqual(due() + 1); // it was open before it was seen to be
  expect(statuses.filter((status) => status === 200)).toHaveLength(20 - probes);
  await eventually("the probes' lines", () => received(bad).length >= before + probes);
  expect(received(bad)).toHaveLength(before + probes);
  await eventually("a probe", async () => {
    await sendAll(cluster, 2);
    return received(bad).length > before;
  });
  expect(received(bad).length - before).toBeLessThanOrEqual(due() + 1);
});

test("a worker that was killed while idle is asked nothing more, though its record is still there", async () => {
  await using cluster = await startCluster({ workers: 2 });
  const [killed] = cluster.workers;
  expect(await sendAll(cluster, 2)).toEqual([200, 200]); // both are connected
  killed?.kill("SIGKILL");
  await lineOf(cluster.frontend, "connection to instance lost");
  const startedAt = performance.now();
  expect(await sendAll(cluster, 20)).toEqual(Array.from({ length: 20 }, () => 200));
  const probes = Math.floor((performance.now() - startedAt) / 1_000);
  expect(
    cluster.frontend.lines().filter(({ message }) => message === "route request failed").length,
  ).toBeLessThanOrEqual(probes);
});

test("a worker that was lost and is back is in full use at once, however long its first answer takes", async () => {
  await using cluster = await startCluster({
    workers: 0,
    workerArgs: ["--itl-ms", "10"],
    env: { DYN_SYSTEM_PORT: "0" },
  });
  const lost = await cluster.addWorker("--fault", "cut@1");
  await cluster.addWorker();
  expect(await sendAll(cluster, 2)).toEqual([200, 200]);
  await lineOf(cluster.frontend, "connection to instance lost");
  await release(lost);
  const before = received(lost).length;
  const aborter = new AbortController();
  const long = { stream: true, max_tokens: 1_000_000 };
  const open = (): Promise<Response> => postChat(cluster.url, chat("word ".repeat(5_000), long), {}, aborter.signal);
  const probes: Promise<Response>[] = [];
  await eventually("the probe", async () => {
    probes.push(open());
    await probes.at(-1);
    return received(lost).length > before;
  });
  await lineOf(cluster.frontend, "instance answers again, its circuit is closed");
  const answers = await Promise.all([open(), open()]); // the probe still runs
  await eventually("one of them there", () => received(lost).length === before + 2);
  aborter.abort();
  await Promise.allSettled([...probes, ...answers].map(async (response) => (await response).text()));
});

test("a client's own short deadlines open no circuit", async () => {
  await using cluster = await startCluster({ workerArgs: ["--itl-ms", "50"] });
  for (let index = 0; index < 5; index += 1) {
    expect((await postChat(cluster.url, chat("a b c d e f"), { "x-request-timeout-ms": "60" })).status).toBe(504);
  }
  expect((await postChat(cluster.url, chat("a"))).status).toBe(200);
  expect(cluster.frontend.lines().filter(({ message }) => String(message).includes("circuit"))).toEqual([]);
});

test("with one worker alone an open circuit keeps nobody out", async () => {
  await using cluster = await startCluster({ workerArgs: ["--fault", "error:internal%0.5", "--seed", "1"] });
  const statuses = await sendAll(cluster, 30);
  expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(5);
  expect(statuses.filter((status) => status === 500).length).toBeGreaterThan(5);
});
