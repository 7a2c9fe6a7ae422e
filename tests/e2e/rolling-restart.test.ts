// Everything is replaced under load, one process after the other: no client notices.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFrontend } from "@dyn/frontend";
import { startMockWorker } from "@dyn/mock-worker";
import { expect, test } from "vitest";
import { chat, postChat } from "../support/cluster.ts";
import { createAsk } from "../../tools/soak/asks.ts";
import { createClient } from "../../tools/soak/client.ts";
import { openFleet, type Fleet } from "../support/fleet.ts";
import { createLedger } from "../../tools/soak/ledger.ts";
import { createRandom } from "../../tools/soak/random.ts";

const paced = ["--ttft-ms", "5", "--itl-ms", "2"];
const splits = ["prefill", "decode"].map((mode) => [
  "--model-name",
  "split",
  "--component",
  `split${mode}`,
  "--disaggregation-mode",
  mode,
  ...paced,
]);
const roles = [
  ["--model-name", "mock", ...paced],
  ["--model-name", "mock", ...paced],
  ["--model-name", "fast", "--component", "fast"],
  ...splits,
];
const lanes = 12;

async function restartAll(fleet: Fleet): Promise<void> {
  for (const worker of fleet.workers.slice()) {
    await fleet.addWorker(worker.role);
    expect(await fleet.endWorker(worker, "SIGTERM")).toBe(0);
  }
  for (const frontend of fleet.frontends) expect(await fleet.restartFrontend(frontend)).toBe(0);
}

test("a rolling restart of all workers, then of each of two frontends, fails no request", async () => {
  const directory = await mkdtemp(join(tmpdir(), "dyn-rolling-"));
  const ledger = createLedger({ file: join(directory, "findings.jsonl"), now: () => performance.now() });
  await using fleet = await openFleet((line, name) => ledger.line(line, name));
  for (let count = 0; count < 2; count += 1) await fleet.addFrontend();
  for (const role of roles) await fleet.addWorker(role);
  using client = createClient({ ports: () => fleet.frontends.map(({ port }) => port), timeoutMs: 60_000 });
  const over = new AbortController();
  const load = Array.from({ length: lanes }, async (_, index) => {
    const random = createRandom(index);
    for (let number = 0; !over.signal.aborted; number += 1)
      await ledger.follow(createAsk(`r${index}-${number}`, random), (ask) => client.send(ask));
  });
  await restartAll(fleet).finally(() => over.abort());
  await Promise.all(load);
  for (const [name, exit] of await fleet.drain()) expect([name, exit]).toEqual([name, 0]);
  await ledger.close();
  expect(ledger.findings).toEqual([]);
  expect(ledger.counts).toMatchObject({ failed: 0, lost: 0, duplicated: 0, mismatched: 0 });
  expect(ledger.counts.answered).toBeGreaterThan(50);
  expect(client.retries).toBeGreaterThan(0); // a frontend was away
  await rm(directory, { recursive: true });
});

test("a frontend that listens knows the workers that are there already", async () => {
  const fileKv = await mkdtemp(join(tmpdir(), "dyn-rolling-"));
  const config = { fileKv, log: "off" };
  {
    await using _worker = await startMockWorker({ config, numWorkers: 3 });
    for (let round = 0; round < 3; round += 1) {
      await using frontend = await createFrontend({ config, httpPort: 0 });
      expect((await postChat(frontend.url, chat("hi"))).status).toBe(200);
    }
  }
  await rm(fileKv, { recursive: true });
});
