// A worker whose process is stopped: its connection stands, nothing comes. It is found out, replaced, and taken back.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  chat,
  eventually,
  lineOf,
  postChat,
  release,
  startCluster,
  type Cluster,
  type Program,
} from "../support/cluster.ts";

// The time of a silence is long enough that a worker which only waits for a processor is not taken for a stopped one.
const env = { DYN_TCP_PING_INTERVAL_MS: "1000", DYN_SYSTEM_PORT: "0" };

function count(program: Program, message: string): number {
  return program.lines().filter((line) => line["message"] === message).length;
}

// Ask until `worker` has got one of the requests; all are answered.
async function expectInUse(cluster: Cluster, worker: Program): Promise<void> {
  const before = count(worker, "request received");
  const look = async (): Promise<boolean> => {
    expect((await postChat(cluster.url, chat("hi"))).status).toBe(200);
    return count(worker, "request received") > before;
  };
  await eventually("a request at it", look);
}

test("a stopped worker is found by its silence, its requests go on elsewhere, and it is back in use when it runs again", async () => {
  await using cluster = await startCluster({ workers: 2, workerArgs: ["--fault", "hang@5"], env });
  const [stopped, other] = cluster.workers as [Program, Program];
  const text = Array.from({ length: 100 }, (_, index) => `word${index}`).join(" ");
  const answers = [1, 2].map(() => postChat(cluster.url, chat(text)).then((response) => response.json()));
  await eventually("both being busy", () => cluster.workers.every((worker) => count(worker, "request received") === 1));
  stopped.kill("SIGSTOP");
  await release(other);
  for (const answer of await Promise.all(answers))
    expect(answer).toMatchObject({ choices: [{ message: { content: text } }] });
  const lost = await lineOf(cluster.frontend, "connection to instance lost");
  expect(lost["error"]).toMatch(/^nothing heard from 127\.0\.0\.1:\d+ for 3000 ms$/);
  expect(count(cluster.frontend, "instance left")).toBe(0); // its record is alive still
  for (let index = 0; index < 2; index += 1) expect((await postChat(cluster.url, chat("hi"))).status).toBe(200);
  stopped.kill("SIGCONT");
  await release(stopped);
  await expectInUse(cluster, stopped);
});

test("a worker that was stopped until its record was swept registers anew when it runs again", async () => {
  await using cluster = await startCluster({ workers: 2, env });
  const [stopped] = cluster.workers as [Program];
  const countRecords = async (): Promise<number> => (await readdir(join(cluster.directory, "v1/instances"))).length;
  await expectInUse(cluster, stopped);
  stopped.kill("SIGSTOP");
  await eventually("its record being swept", async () => (await countRecords()) === 1);
  await eventually("its leaving", () => count(cluster.frontend, "instance left") === 1);
  expect((await postChat(cluster.url, chat("hi"))).status).toBe(200);
  stopped.kill("SIGCONT");
  await expectInUse(cluster, stopped);
  await eventually(
    "both its records",
    () => count(stopped, "discovery record was gone and has been published again") === 2,
  );
});
