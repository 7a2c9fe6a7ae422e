// A flood of ten times what the workers can take: how much of their capacity is left for those who are served, and how soon all is well again.
import { Agent, request } from "node:http";
import { openFleet, type Fleet } from "../tests/fleet.ts";
import { residentMib } from "../tests/memory.ts";
import { median } from "./load.ts";

const workers = 2;
const seqs = 8;
const answerMs = 200;
const flood = 10;
const secondsLong = 5;
/** Until the places are filled. */
const rampSeconds = 0.5;

interface Outcome {
  readonly status: number;
  readonly ms: number;
  readonly endedAt: number;
}

const body = JSON.stringify({ model: "mock", messages: [{ role: "user", content: "word" }] });
const agent = new Agent({ keepAlive: true });

function post(port: number): Promise<Outcome> {
  const sentAt = performance.now();
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const sent = request({ agent, port, host: "127.0.0.1", method: "POST", path: "/v1/chat/completions", headers }, (response) => {
      response.resume();
      response.on("end", () => {
        const endedAt = performance.now();
        resolve({ status: response.statusCode ?? 0, ms: endedAt - sentAt, endedAt });
      });
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

// As many at a time as there are places, none more: what the workers can do.
async function measureCapacity(port: number): Promise<number> {
  const endAt = performance.now() + 1_000 * secondsLong;
  let served = 0;
  const lane = async (): Promise<void> => {
    while (performance.now() < endAt) {
      const { status, endedAt } = await post(port);
      if (status !== 200) throw new Error(`status ${status} within capacity`);
      if (endedAt < endAt) served += 1;
    }
  };
  await Promise.all(Array.from({ length: workers * seqs }, lane));
  return served / secondsLong;
}

// New requests at a steady rate, whatever becomes of the old ones.
async function runFlood(port: number, perSecond: number, onTick: () => void): Promise<Outcome[]> {
  const startedAt = performance.now();
  const total = Math.round(perSecond * (secondsLong + rampSeconds));
  const outcomes: Promise<Outcome>[] = [];
  while (outcomes.length < total) {
    const due = Math.min(total, Math.floor(((performance.now() - startedAt) / 1_000) * perSecond));
    while (outcomes.length < due) outcomes.push(post(port));
    onTick();
    await wait(5);
  }
  return Promise.all(outcomes);
}

/** Resident memory of all programs, MiB. */
function allMib({ frontends, workers: others }: Fleet): number {
  return [...frontends, ...others].reduce((sum, { program }) => sum + (residentMib(program.pid) ?? Number.NaN), 0);
}

async function main(): Promise<void> {
  await using fleet = await openFleet(() => undefined);
  const { port } = await fleet.addFrontend();
  const args = ["--max-num-seqs", String(seqs), "--request-queue-limit", String(seqs), "--ttft-ms", String(answerMs)];
  for (let index = 0; index < workers; index += 1) await fleet.addWorker(args);
  const capacity = await measureCapacity(port);
  const before = allMib(fleet);
  let highest = before;
  const startedAt = performance.now();
  const outcomes = await runFlood(port, capacity * flood, () => (highest = Math.max(highest, allMib(fleet))));
  const [from, to] = [rampSeconds, rampSeconds + secondsLong].map((seconds) => startedAt + 1_000 * seconds) as [number, number];
  const served = outcomes.filter(({ status, endedAt }) => status === 200 && endedAt >= from && endedAt < to).length;
  const refused = outcomes.filter(({ status }) => status === 529);
  await wait(2_000);
  const after = await Promise.all(Array.from({ length: workers * seqs }, () => post(port)));
  const goodput = served / secondsLong;
  const rows: readonly (readonly [string, string, string])[] = [
    ["capacity, requests/s", capacity.toFixed(1), ""],
    ["flood, requests/s offered", (outcomes.length / (secondsLong + rampSeconds)).toFixed(1), ""],
    ["goodput in the flood, requests/s", goodput.toFixed(1), ""],
    ["  of capacity", (goodput / capacity).toFixed(3), "accept ≥ 0.9"],
    ["refused with 529", `${refused.length} of ${outcomes.length}`, ""],
    ["  median time to a refusal, ms", median(refused.map(({ ms }) => ms).toSorted((left, right) => left - right)).toFixed(1), ""],
    ["neither served nor refused", String(outcomes.filter(({ status }) => status !== 200 && status !== 529).length), "accept 0"],
    ["memory of all programs, MiB: before, highest", `${before.toFixed(0)}, ${highest.toFixed(0)}`, ""],
    ["2 s later: served of a full house", `${after.filter(({ status }) => status === 200).length} of ${after.length}`, "accept all"],
    ["  slowest, ms", Math.max(...after.map(({ ms }) => ms)).toFixed(1), `an answer takes ${answerMs}`],
  ];
  for (const [name, value, accept] of rows) console.log(`${name.padEnd(48)} ${value.padStart(16)}   ${accept}`);
}

try {
  await main();
} finally {
  agent.destroy();
}
