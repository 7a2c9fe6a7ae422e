// A worker whose process is stopped: its connection stands, nothing comes. It is found out, replaced, and taken back.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { chat, eventually, postChat, startCluster, type Cluster, type Program } from "../cluster.ts";

/** Promise of the docs, ms. */
const backMs = 5_000;

function count(program: Program, message: string): number {
  return program.lines().filter((line) => line["message"] === message).length;
}

// Ask until `worker` has got one of the requests; all are answered.
async function expectInUse(cluster: Cluster, worker: Program, withinMs: number): Promise<void> {
  const before = count(worker, "request received");
  const look = async (): Promise<boolean> => {
    expect((await postChat(cluster.url, chat("hi"))).status).toBe(200);
    return count(worker, "request received") > before;
  };
  await eventually("a request at it", look, withinMs);
}

test("a stopped worker is found by its silence, its requests go on elsewhere, and it is back in use when it runs again", async () => {
  const workerArgs = ["--itl-ms", "10"];
  await using cluster = await startCluster({ workers: 2, workerArgs, env: { DYN_TCP_PING_INTERVAL_MS: "100" } });
  const [stopped] = cluster.workers as [Program];
  const text = Array.from({ length: 100 }, (_, index) => `word${index}`).join(" ");
  const answers = [1, 2].map(() => postChat(cluster.url, chat(text)).then((response) => response.json()));
  await eventually("both being busy", () => cluster.workers.every((worker) => count(worker, "request received") === 1));
  stopped.kill("SIGSTOP");
  for (const answer of await Promise.all(answers)) expect(answer).toMatchObject({ choices: [{ message: { content: text } }] });
  const lost = cluster.frontend.lines().find(({ message }) => message === "connection to instance lost");
  expect(lost?.["error"]).toMatch(/^nothing heard from 127\.0\.0\.1:\d+ for 300 ms$/);
  expect(count(cluster.frontend, "instance left")).toBe(0); // its record is alive still
  for (let index = 0; index < 2; index += 1) expect((await postChat(cluster.url, chat("hi"))).status).toBe(200);
  stopped.kill("SIGCONT");
  await expectInUse(cluster, stopped, backMs);
});

test("a worker that was stopped until its record was swept registers anew when it runs again", { timeout: 60_000 }, async () => {
  await using cluster = await startCluster({ workers: 2, env: { DYN_TCP_PING_INTERVAL_MS: "100" } });
  const [stopped] = cluster.workers as [Program];
  const countRecords = async (): Promise<number> => (await readdir(join(cluster.directory, "v1/instances"))).length;
  await expectInUse(cluster, stopped, backMs);
  stopped.kill("SIGSTOP");
  await eventually("its record being swept", async () => (await countRecords()) === 1, 20_000);
  await eventually("its leaving", () => count(cluster.frontend, "instance left") === 1);
  expect((await postChat(cluster.url, chat("hi"))).status).toBe(200);
  stopped.kill("SIGCONT");
  await expectInUse(cluster, stopped, backMs);
  await eventually("both its records", () => count(stopped, "discovery record was gone and has been published again") === 2);
});
