// The discovery directory is lost in every way there is: requests go on, and everything is back by itself when it is.
import { existsSync } from "node:fs";
import { readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { chat, eventually, postChat, release, startCluster, type Cluster, type Program } from "../support/cluster.ts";
import { replacePath } from "../runtime/discovery/spaces.ts";

const buckets = ["v1/instances", "v1/mdc"] as const;

async function countRecords(cluster: Cluster): Promise<number> {
  const listings = await Promise.all(buckets.map((bucket) => readdir(join(cluster.directory, bucket)).catch(() => [])));
  return listings.flat().filter((name) => !name.startsWith(".")).length;
}

function count(program: Program, message: string): number {
  return program.lines().filter((line) => line["message"] === message).length;
}

async function expectService(cluster: Cluster): Promise<void> {
  for (let index = 0; index < 4; index += 1) expect((await postChat(cluster.url, chat("hi"))).status).toBe(200);
}

async function expectBack(cluster: Cluster): Promise<void> {
  await eventually("all records", async () => (await countRecords(cluster)) === 4);
  await expectService(cluster);
}

async function replaceByFile(directory: string): Promise<void> {
  await writeFile(`${directory}-file`, "");
  await replacePath(`${directory}-file`, directory);
}

interface Busy {
  readonly cluster: Cluster;
  /** Let the stream go on. @returns all of it. */
  readonly finish: () => Promise<string>;
}

// Two workers, one of which nobody has asked yet, and a stream that is held at the other.
async function startBusy(): Promise<Busy> {
  const cluster = await startCluster({ workers: 2, workerArgs: ["--fault", "hang@2"], env: { DYN_SYSTEM_PORT: "0" } });
  const response = await postChat(cluster.url, chat("a b c d", { stream: true }));
  const finish = async (): Promise<string> => {
    await Promise.all(cluster.workers.map(release));
    return response.text();
  };
  return { cluster, finish };
}

const losses: readonly (readonly [name: string, lose: (directory: string) => Promise<void>])[] = [
  ["moved away", (directory) => rename(directory, `${directory}-moved`)],
  ["deleted", (directory) => rm(directory, { recursive: true, maxRetries: 5 })],
  [
    "emptied record by record",
    async (directory) => {
      for (const bucket of buckets)
        for (const name of await readdir(join(directory, bucket)))
          await rm(join(directory, bucket, name), { force: true });
    },
  ],
];

test.each(losses)("a directory that is %s stops nothing, and is filled again by itself", async (_, lose) => {
  const { cluster, finish } = await startBusy();
  await using _cluster = cluster;
  await lose(cluster.directory);
  await expectService(cluster);
  await expectBack(cluster);
  expect((await finish()).endsWith("data: [DONE]\n\n")).toBe(true);
  for (const message of ["instance left", "model removed"]) expect(count(cluster.frontend, message)).toBe(0);
  await rm(`${cluster.directory}-moved`, { recursive: true, force: true });
});

test("a directory that cannot be read stops nothing, and is filled again once it can", async () => {
  const { cluster, finish } = await startBusy();
  await using _cluster = cluster;
  await replaceByFile(cluster.directory);
  await eventually("the trouble being seen", () => count(cluster.frontend, "discovery is degraded") > 0);
  await eventually("the workers' trouble", () =>
    cluster.workers.every((worker) => count(worker, "discovery record cannot be kept alive") > 0),
  );
  await expectService(cluster);
  await rm(cluster.directory);
  await expectBack(cluster);
  expect((await finish()).endsWith("data: [DONE]\n\n")).toBe(true);
  expect(count(cluster.frontend, "instance left")).toBe(0);
});

test("a directory that was moved away and is moved back is in use again", async () => {
  const { cluster, finish } = await startBusy();
  await using _cluster = cluster;
  const away = `${cluster.directory}-moved`;
  await rename(cluster.directory, away);
  await eventually("a new one", () => existsSync(join(cluster.directory, "v1/instances")));
  await expectService(cluster);
  await replacePath(away, cluster.directory);
  await expectBack(cluster);
  expect((await finish()).endsWith("data: [DONE]\n\n")).toBe(true);
  await cluster.addWorker(); // joins as quickly as ever
});

test("a worker that leaves while the directory is lost is out at once, and one that dies too", async () => {
  await using cluster = await startCluster({ workers: 3 });
  const [leaving, dying] = cluster.workers as [Program, Program];
  await expectService(cluster);
  await replaceByFile(cluster.directory);
  leaving.kill("SIGTERM");
  dying.kill("SIGKILL");
  expect(await leaving.exited).toBe(0);
  await dying.exited;
  await expectService(cluster);
  await rm(cluster.directory, { recursive: true, maxRetries: 5 });
  await eventually("both being out", () => count(cluster.frontend, "instance left") === 2);
  await eventually("the third's records", async () => (await countRecords(cluster)) === 2);
  await expectService(cluster);
});
