// The discovery directory is lost in every way there is: requests go on, and everything is back by itself when it is.
import { existsSync } from "node:fs";
import { readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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

describe("a service whose directory is lost in one way after the other", () => {
  let cluster: Cluster;
  let stream: Response;

  // Two workers, one of which nobody has asked yet, and a stream that is held at the other.
  beforeAll(async () => {
    cluster = await startCluster({ workers: 2, workerArgs: ["--fault", "hang@2"], env: { DYN_SYSTEM_PORT: "0" } });
    stream = await postChat(cluster.url, chat("a b c d", { stream: true }));
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  test.each(losses)("goes on when it is %s, and fills it again by itself", async (_, lose) => {
    await lose(cluster.directory);
    await expectService(cluster);
    await expectBack(cluster);
    await rm(`${cluster.directory}-moved`, { recursive: true, force: true });
  });

  test("goes on while it cannot be read, and fills it again once it can", async () => {
    const seen = count(cluster.frontend, "discovery is degraded");
    const told = cluster.workers.map((worker) => count(worker, "discovery record cannot be kept alive"));
    await replaceByFile(cluster.directory);
    await eventually("the trouble being seen", () => count(cluster.frontend, "discovery is degraded") > seen);
    await eventually("the workers' trouble", () =>
      cluster.workers.every(
        (worker, index) => count(worker, "discovery record cannot be kept alive") > (told[index] ?? 0),
      ),
    );
    await expectService(cluster);
    await rm(cluster.directory);
    await expectBack(cluster);
  });

  test("uses it again when it was moved away and is moved back", async () => {
    const away = `${cluster.directory}-moved`;
    await rename(cluster.directory, away);
    await eventually("a new one", () => existsSync(join(cluster.directory, "v1/instances")));
    await expectService(cluster);
    await replacePath(away, cluster.directory);
    await expectBack(cluster);
  });

  test("has lost no instance, no model and no stream in the end, and a worker joins as quickly as ever", async () => {
    for (const message of ["instance left", "model removed"]) expect(count(cluster.frontend, message)).toBe(0);
    await Promise.all(cluster.workers.map(release));
    expect((await stream.text()).endsWith("data: [DONE]\n\n")).toBe(true);
    await cluster.addWorker();
  });
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
