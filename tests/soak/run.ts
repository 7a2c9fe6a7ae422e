// `npm run soak -- --minutes N`: mixed load on a fleet to which one thing after the other happens. Every answer is checked, word for word.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createAsk } from "./asks.ts";
import { disturb } from "./chaos.ts";
import { createClient, type Client } from "./client.ts";
import { openFleet, type Fleet, type Role } from "../fleet.ts";
import { createLedger, type Ledger } from "./ledger.ts";
import { watchMemory, type MemoryWatch } from "./memory-watch.ts";
import { createRandom } from "./random.ts";

const help = `npm run soak -- [--minutes N] [--seed N] [--lanes N]

Two frontends and nine mock workers on this machine under a mixed load, while workers are killed, leave, are stopped or fail,
records are lost, and a frontend restarts. Some clients dawdle, some leave. Ends with 0 if every answer was right.

--minutes N   how long (default 1)
--seed N      what is asked and what happens follows from it (default: the time)
--lanes N     clients at a time (default 24)
`;

const paced = ["--ttft-ms", "5", "--itl-ms", "2"];
const fleetPlan: readonly (readonly [count: number, role: Role])[] = [
  [3, ["--model-name", "mock", ...paced]],
  [2, ["--model-name", "split", "--component", "splitprefill", "--disaggregation-mode", "prefill", ...paced]],
  [2, ["--model-name", "split", "--component", "splitdecode", "--disaggregation-mode", "decode", ...paced]],
  [2, ["--model-name", "fast", "--component", "fast"]],
];
const roles = fleetPlan.flatMap(([count, role]) => Array.from({ length: count }, () => role));
const answerWithinMs = 120_000;
const progressMs = 5_000;
/** Between two things that happen, ms. */
const calmMs = [500, 3_000] as const;

interface Soak {
  readonly fleet: Fleet;
  readonly ledger: Ledger;
  readonly client: Client;
  readonly memory: readonly MemoryWatch[];
  readonly seed: number;
  readonly lanes: number;
  readonly endAt: number;
}

const now = (): number => performance.now();

async function drive({ ledger, client, seed, lanes, endAt }: Soak): Promise<void> {
  const lane = async (index: number): Promise<void> => {
    const random = createRandom(seed + index);
    for (let number = 0; now() < endAt; number += 1) {
      await ledger.follow(createAsk(`s${seed}-${index}-${number}`, random), (ask) => client.send(ask));
    }
  };
  await Promise.all(Array.from({ length: lanes }, (_, index) => lane(index)));
}

async function shake({ fleet, ledger, seed, endAt }: Soak, tell: (event: string) => void): Promise<number> {
  const random = createRandom(~seed);
  let happened = 0;
  while (now() < endAt) {
    await sleep(Math.min(random.whole(...calmMs), Math.max(0, endAt - now())));
    if (now() >= endAt) break;
    happened += 1;
    await disturb({ fleet, random, tell, complain: (why) => ledger.note("failed", why) });
  }
  return happened;
}

function startReport({ ledger, client, memory, endAt }: Soak, minutes: number): { tell(event: string): void } & Disposable {
  const startedAt = now();
  let [last, answered] = ["", 0];
  const report = (): void => {
    for (const watch of memory) watch.sample();
    const { counts } = ledger;
    const rate = ((counts.answered - answered) / progressMs) * 1000;
    answered = counts.answered;
    const wrong = (["failed", "lost", "duplicated", "mismatched"] as const).map((fault) => `${counts[fault]} ${fault}`).join(", ");
    const sizes = memory.map(({ name, current }) => `${name} ${current?.toFixed(0) ?? "?"} MiB`).join(", ");
    const time = `${formatTime(now() - startedAt)} of ${formatTime(minutes * 60_000)}`;
    const left = now() > endAt ? `, waiting for ${ledger.open}` : "";
    console.log(`${time}  ${answered} answered, ${rate.toFixed(0)}/s${left}  ${wrong}  ${sizes}, ${client.retries} retried  ${last}`);
    last = "";
  };
  const timer = setInterval(report, progressMs);
  return {
    tell(event) {
      last = last === "" ? event : `${last}; ${event}`;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}

function formatTime(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function printVerdict({ ledger, client, memory, seed }: Soak, happened: number): void {
  const { counts } = ledger;
  const rows: (readonly [string, string])[] = [
    ["seed", String(seed)],
    ["asked", `${counts.asked}: ${counts.answered} answered, ${counts.left} left by their clients`],
    ["things that happened", String(happened)],
    ["needed more than one attempt", String(counts.failedOver)],
    ["connections tried again", String(client.retries)],
    ...(["failed", "lost", "duplicated", "mismatched"] as const).map((fault) => [fault, String(counts[fault])] as const),
  ];
  for (const watch of memory) {
    const summary = watch.summary();
    if (!summary) continue;
    const { first, last, slope } = summary;
    rows.push([`memory of ${watch.name}`, `${first.toFixed(1)} to ${last.toFixed(1)} MiB, slope of the last two thirds ${slope.toFixed(2)} MiB/min`]);
  }
  for (const [name, value] of rows) console.log(`${name.padEnd(30)} ${value}`);
}

async function soak(minutes: number, seed: number, lanes: number): Promise<boolean> {
  const directory = await mkdtemp(join(tmpdir(), "dyn-soak-"));
  const file = join(directory, "findings.jsonl");
  const ledger = createLedger({ file, now });
  await using fleet = await openFleet((line, name) => ledger.line(line, name));
  console.log(`starting 2 frontends and ${roles.length} workers, seed ${seed} …`);
  const first = await fleet.addFrontend();
  await fleet.addFrontend();
  await Promise.all(roles.map((role) => fleet.addWorker(role)));
  using client = createClient({ ports: () => fleet.frontends.map(({ port }) => port), timeoutMs: answerWithinMs });
  const watches = [watchMemory(first.name, first.program.pid, now), watchMemory("this client", process.pid, now)];
  const soak: Soak = { fleet, ledger, client, memory: watches, seed, lanes, endAt: now() + minutes * 60_000 };
  let happened: number;
  {
    using report = startReport(soak, minutes);
    [, happened] = await Promise.all([drive(soak), shake(soak, (event) => report.tell(event))]);
  }
  for (const [name, exit] of await fleet.drain()) if (exit !== 0) ledger.note("failed", `${name} ended with ${exit}`);
  await ledger.close();
  printVerdict(soak, happened);
  for (const finding of ledger.findings) console.log(`\n${finding}`);
  const isRight = ledger.findings.length === 0;
  if (isRight) await rm(directory, { recursive: true });
  else console.log(`\nevery request above with its answer and all its log lines: ${file}`);
  return isRight;
}

function readNumber(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value <= 0xffff_ffff)) throw new Error(`--${name}: expected a number, got ${JSON.stringify(text)}`);
  return value;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "1" },
      seed: { type: "string", default: String(Date.now() >>> 0) },
      lanes: { type: "string", default: "24" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) return void process.stdout.write(help);
  const [minutes, seed, lanes] = (["minutes", "seed", "lanes"] as const).map((name) => readNumber(name, values[name])) as [number, number, number];
  if (!(await soak(minutes, seed, lanes))) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  console.error(`soak: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}
