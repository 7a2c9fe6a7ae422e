// The system's clock is set while everything runs: what is written from then on has the new time, and no duration is spoilt.
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import {
  chat,
  eventually,
  postChat,
  release,
  root,
  startCluster,
  startProgram,
  type Cluster,
  type Line,
  type Program,
} from "../support/cluster.ts";
import { startReceiver } from "./otlp/receiver.ts";
import { newTrace, spansOf } from "./otlp/span-tree.ts";

interface Clock extends AsyncDisposable {
  readonly env: Record<string, string>;
  /** From now on the clock of all programs is off by so many ms. */
  set(ms: number): Promise<void>;
}

async function createClock(): Promise<Clock> {
  const directory = await mkdtemp(join(tmpdir(), "dyn-clock-"));
  const file = join(directory, "ms");
  await writeFile(file, "0");
  return {
    env: {
      TEST_CLOCK: file,
      NODE_OPTIONS: `--import=${pathToFileURL(join(root, "tests/support/set-clock.mjs")).href}`,
    },
    async set(ms) {
      await writeFile(`${file}-next`, String(ms));
      await rename(`${file}-next`, file); // nobody reads half of it
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

function linesOf(programs: readonly Program[], xRequestId: string): Promise<Line[]> {
  return eventually(`the lines of ${xRequestId}`, () => {
    const lines = programs.flatMap((program) => program.lines()).filter((line) => line["x_request_id"] === xRequestId);
    return lines.filter(({ message }) => message === "request completed").length === programs.length && lines;
  });
}

const hour = 3_600_000;

async function trace(id: string, cluster: Cluster): Promise<string> {
  const programs = [cluster.frontend, ...cluster.workers];
  const files = programs.map((_, index) => join(cluster.directory, `${index}.jsonl`));
  await Promise.all(programs.map((program, index) => writeFile(files[index] ?? "", program.stderr())));
  await using program = startProgram("dyn-frontend", ["trace", id, ...files]);
  expect(await program.exited).toBe(0);
  return program.stdout().replaceAll(/\s+/g, " ");
}

test("of a request during which the clock is set, its lineage is whole, and no machine is blamed", async () => {
  await using clock = await createClock();
  await using cluster = await startCluster({
    env: { ...clock.env, DYN_SYSTEM_PORT: "0" },
    workerArgs: ["--fault", "hang@5"],
  });
  const response = await postChat(cluster.url, chat("word ".repeat(40), { stream: true }), {
    "x-request-id": "meanwhile",
  });
  await clock.set(-hour);
  await release(cluster.workers[0]);
  await response.text();
  await linesOf([cluster.frontend, ...cluster.workers], "meanwhile");
  const told = await trace("meanwhile", cluster);
  expect(told).toContain("✓ the lineage is whole");
  expect(told).toMatch(/note the clock of the frontend was set back by about (?:3599|3600) s while the request ran/);
  expect(told).toMatch(/note the clock of instance \d+ was set back by about (?:3599|3600) s while it worked/);
  expect(told).not.toContain("their clocks differ");
});

test("lines, spans and the history of a request have the time the clock shows now, not the one it showed at the start", async () => {
  await using clock = await createClock();
  await using receiver = await startReceiver();
  await using cluster = await startCluster({ env: { ...clock.env, ...receiver.env("http/protobuf") } });
  await clock.set(-hour);
  const trace = newTrace();
  const before = Date.now() - hour;
  const response = await postChat(cluster.url, chat("one two"), trace.headers);
  const { created } = (await response.json()) as { created: number };
  const lines = await linesOf([cluster.frontend, ...cluster.workers], "order-4711");
  const history = (await (await fetch(`${cluster.url}/v1/requests/order-4711`)).json()) as {
    request: Record<string, string>;
    attempts: Record<string, string>[];
  };
  const spans = await spansOf(receiver, trace.traceId, 4);
  const after = Date.now() - hour;
  const isNow = (ms: number): boolean => ms >= before - 2 && ms <= after + 2;
  const times = {
    lines: lines.map(({ time }) => Date.parse(String(time))),
    history: [history.request, ...history.attempts].flatMap((node) =>
      Object.entries(node).flatMap(([name, time]) => (name.endsWith("_at") ? Date.parse(time) : [])),
    ),
    spans: spans
      .flatMap(({ startedAt, endedAt, events }) => [startedAt, endedAt, ...events.map(({ at }) => at)])
      .map((ns) => Number(ns / 1_000_000n)),
  };
  for (const [what, all] of Object.entries(times))
    expect(
      all.filter((ms) => !isNow(ms)),
      what,
    ).toEqual([]);
  expect([times.lines.length, times.history.length]).toEqual([5, 5]);
  expect(created).toBeGreaterThanOrEqual(Math.floor(before / 1_000));
  expect(created).toBeLessThanOrEqual(after / 1_000);
});
