// A flood of ten times what the workers can take: how much of their capacity is left for those who are served, and how soon all is well again.
import { Agent, request } from "node:http";
import { openFleet, type Fleet } from "../tests/support/fleet.ts";
import { residentMib } from "../tests/support/memory.ts";
import { median } from "./load.ts";
import { atLeast, runBench, type Row } from "./table.ts";

const workers = 2;
const seqs = 8;
const answerMs = 200;
const flood = 10;
const secondsLong = 5;
/** Until the places are filled. */
const rampSeconds = 0.5;
/** What all places can serve, requests/s. */
const setCapacity = (workers * seqs) / (answerMs / 1_000);

interface Outcome {
  readonly status: number;
  readonly ms: number;
  readonly endedAt: number;
  readonly isToldWhen: boolean;
}

const body = JSON.stringify({ model: "mock", messages: [{ role: "user", content: "word" }] });
const agent = new Agent({ keepAlive: true });

function post(port: number): Promise<Outcome> {
  const sentAt = performance.now();
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const sent = request(
      { agent, port, host: "127.0.0.1", method: "POST", path: "/v1/chat/completions", headers },
      (response) => {
        response.resume();
        response.on("end", () => {
          const endedAt = performance.now();
          resolve({
            status: response.statusCode ?? 0,
            ms: endedAt - sentAt,
            endedAt,
            isToldWhen: response.headers["retry-after"] !== undefined,
          });
        });
        response.on("error", reject);
      },
    );
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

async function measure(): Promise<readonly Row[]> {
  await using fleet = await openFleet(() => undefined);
  const { port } = await fleet.addFrontend();
  const args = ["--max-num-seqs", String(seqs), "--request-queue-limit", String(seqs), "--ttft-ms", String(answerMs)];
  for (let index = 0; index < workers; index += 1) await fleet.addWorker(args);
  const measured = await measureCapacity(port);
  const before = allMib(fleet);
  let highest = before;
  const startedAt = performance.now();
  const outcomes = await runFlood(port, setCapacity * flood, () => (highest = Math.max(highest, allMib(fleet))));
  const [from, to] = [rampSeconds, rampSeconds + secondsLong].map((seconds) => startedAt + 1_000 * seconds) as [
    number,
    number,
  ];
  const served = outcomes.filter(({ status, endedAt }) => status === 200 && endedAt >= from && endedAt < to).length;
  const refused = outcomes.filter(({ status }) => status === 529);
  await wait(2_000);
  const after = await Promise.all(Array.from({ length: workers * seqs }, () => post(port)));
  const goodput = served / secondsLong;
  const others = outcomes.filter(({ status }) => status !== 200 && status !== 529).length;
  const untold = refused.filter(({ isToldWhen }) => !isToldWhen).length;
  const again = after.filter(({ status }) => status === 200).length;
  const refusalMs = median(refused.map(({ ms }) => ms).toSorted((left, right) => left - right));
  return [
    { name: "capacity set, requests/s (places / answer time)", value: setCapacity.toFixed(1) },
    { name: "  reached by as many clients as places", value: measured.toFixed(1) },
    { name: "flood, requests/s offered", value: (outcomes.length / (secondsLong + rampSeconds)).toFixed(1) },
    { name: "goodput in the flood, requests/s", value: goodput.toFixed(1) },
    atLeast("  of the set capacity", goodput / setCapacity, 0.9),
    {
      name: "refused with 529",
      value: `${refused.length} of ${outcomes.length}`,
      limit: { isKept: refused.length > 0, text: "some: else it was no flood" },
    },
    { name: "  median time to a refusal", value: `${refusalMs.toFixed(1)} ms` },
    { name: "  without Retry-After", value: String(untold), limit: { isKept: untold === 0, text: "none" } },
    { name: "neither served nor refused", value: String(others), limit: { isKept: others === 0, text: "none" } },
    { name: "memory of all programs: before, highest", value: `${before.toFixed(0)}, ${highest.toFixed(0)} MiB` },
    {
      name: "2 s later: served of a full house",
      value: `${again} of ${after.length}`,
      limit: { isKept: again === after.length, text: "all" },
    },
    {
      name: `  slowest (an answer takes ${answerMs} ms)`,
      value: `${Math.max(...after.map(({ ms }) => ms)).toFixed(1)} ms`,
    },
  ];
}

try {
  await runBench({
    script: "bench:overload",
    about: "a flood of ten times what the workers can take",
    seconds: 20,
    measure,
  });
} finally {
  agent.destroy();
}
