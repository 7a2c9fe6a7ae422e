// A flood of ten times what the workers can take: how much of their capacity is left for those who are served, and how soon all is well again.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { median } from "./load.ts";

const workers = 2;
const seqs = 8;
const answerMs = 200;
const flood = 10;
const secondsLong = 5;
/** Until the places are filled. */
const rampSeconds = 0.5;

const directory = mkdtempSync(join(tmpdir(), "dyn-overload-"));
const children: ChildProcess[] = [];

function start(bin: string, args: readonly string[]): ChildProcess {
  const env = { ...process.env, DYN_FILE_KV: directory, DYN_LOGGING_JSONL: "1" };
  const child = spawn(process.execPath, [bin, ...args], { env, stdio: ["ignore", "ignore", "pipe"] });
  children.push(child);
  return child;
}

function startFrontend(): Promise<number> {
  const { stderr } = start("packages/frontend/bin/dyn-frontend.js", ["--http-port", "0"]);
  return new Promise((resolve) => {
    if (!stderr) return;
    createInterface({ input: stderr }).on("line", (line) => {
      const port = /"port":(\d+)/.exec(line)?.[1];
      if (port !== undefined) resolve(Number(port));
    });
  });
}

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

/** Resident memory of all programs, MiB. Source: proc(5), VmRSS. */
function residentMib(): number {
  return children.reduce((sum, { pid }) => sum + Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]) / 1024, 0);
}

async function waitForModel(port: number): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (performance.now() < deadline) {
    const answers = await Promise.all(Array.from({ length: workers }, () => post(port)));
    if (answers.every(({ status }) => status === 200)) return;
    await wait(20);
  }
  throw new Error("no completion succeeded within 10 s");
}

async function main(): Promise<void> {
  const port = await startFrontend();
  const args = ["--num-workers", "1", "--max-num-seqs", String(seqs), "--request-queue-limit", String(seqs), "--ttft-ms", String(answerMs)];
  for (let index = 0; index < workers; index += 1) start("packages/mock-worker/bin/dyn-mock-worker.js", args).stderr?.resume();
  await waitForModel(port);
  const capacity = await measureCapacity(port);
  const before = residentMib();
  let highest = before;
  const startedAt = performance.now();
  const outcomes = await runFlood(port, capacity * flood, () => (highest = Math.max(highest, residentMib())));
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
  for (const child of children) child.kill("SIGKILL");
  rmSync(directory, { recursive: true, force: true });
}
