// `npm run soak -- --minutes N`: mixed load on a fleet to which one thing after the other happens. Every answer is checked, word for word.
import { join } from "node:path";
import { openFleet, type Fleet, type Role } from "../../tests/support/fleet.ts";
import { createAsk } from "./asks.ts";
import { createChaos, type Chaos } from "./chaos.ts";
import { createClient, type Client } from "./client.ts";
import { openDirectory } from "../../tests/support/directory.ts";
import { createEnding, type Ending } from "./ending.ts";
import { createLedger, type Ledger } from "./ledger.ts";
import { watchMemory } from "./memory-watch.ts";
import { createRandom } from "./random.ts";
import { printVerdict, startReport } from "./report.ts";
import { help, readSettings, type Settings } from "./settings.ts";

const paced = ["--ttft-ms", "5", "--itl-ms", "2"];
const fleetPlan: readonly (readonly [count: number, role: Role])[] = [
  [3, ["--model-name", "mock", ...paced]],
  [2, ["--model-name", "split", "--component", "splitprefill", "--disaggregation-mode", "prefill", ...paced]],
  [2, ["--model-name", "split", "--component", "splitdecode", "--disaggregation-mode", "decode", ...paced]],
  [2, ["--model-name", "fast", "--component", "fast"]],
];
const roles = fleetPlan.flatMap(([count, role]) => Array.from({ length: count }, () => role));
const answerWithinMs = 120_000;
/** Between two things that happen, ms. */
const calmMs = [500, 3_000] as const;

async function drive(ledger: Ledger, client: Client, ending: Ending, { seed, lanes }: Settings): Promise<void> {
  const lane = async (index: number): Promise<void> => {
    const random = createRandom(seed + index);
    for (let number = 0; !ending.isOver; number += 1) {
      await ledger.follow(createAsk(`s${seed}-${index}-${number}`, random), (ask) => client.send(ask));
    }
  };
  await Promise.all(Array.from({ length: lanes }, (_, index) => lane(index)));
}

// If all does not become well again, that is a finding, and what comes after it would say nothing.
async function shake(chaos: Chaos, ledger: Ledger, ending: Ending, calm: () => number): Promise<void> {
  try {
    for (;;) {
      await ending.rest(calm());
      if (ending.isOver) return;
      await chaos.disturb();
    }
  } catch (error) {
    ledger.note("failed", `after a disturbance: ${String(error)}`);
    ending.end("a disturbance that was not over");
  }
}

async function startAll(fleet: Fleet): Promise<{ first: Fleet["frontends"][number]; kept: Fleet["workers"][number] }> {
  const first = await fleet.addFrontend();
  await fleet.addFrontend();
  const [kept] = await Promise.all(roles.map((role) => fleet.addWorker(role)));
  if (!kept) throw new Error("no workers are planned");
  return { first, kept };
}

async function soak(settings: Settings): Promise<boolean> {
  const { minutes, seed } = settings;
  using ending = createEnding();
  await using directory = await openDirectory("dyn-soak-");
  const file = join(directory.path, "findings.jsonl");
  const now = (): number => performance.now();
  const ledger = createLedger({ file, now });
  await using fleet = await openFleet((line, name) => ledger.line(line, name));
  console.log(`starting 2 frontends and ${roles.length} workers, seed ${seed} …`);
  const { first, kept } = await startAll(fleet);
  using client = createClient({ ports: () => fleet.frontends.map(({ port }) => port), timeoutMs: answerWithinMs });
  const memory = [
    watchMemory(first.name, first.program.pid, now),
    watchMemory(kept.name, kept.program.pid, now),
    watchMemory("this client", process.pid, now),
  ];
  ending.start(minutes * 60_000);
  const random = createRandom(~seed);
  let chaos: Chaos;
  {
    using report = startReport({ ledger, client, memory, ending, minutes });
    const complain = (why: string): void => ledger.note("failed", why);
    chaos = createChaos({
      fleet,
      random,
      kept,
      complain,
      rest: (ms) => ending.rest(ms),
      tell: (event) => report.tell(event),
    });
    await Promise.all([
      drive(ledger, client, ending, settings),
      shake(chaos, ledger, ending, () => random.whole(...calmMs)),
    ]);
  }
  for (const [name, exit] of await fleet.drain()) if (exit !== 0) ledger.note("failed", `${name} ended with ${exit}`);
  await ledger.close();
  const isRight = printVerdict({ ledger, client, chaos, memory, ending, seed, minutes });
  for (const finding of ledger.findings) console.log(`\n${finding}`);
  if (ledger.findings.length === 0) return isRight;
  directory.keep();
  console.log(`\nevery request above with its answer and all its log lines: ${file}`);
  return false;
}

try {
  const settings = readSettings(process.argv.slice(2));
  if (!settings) process.stdout.write(help);
  else if (!(await soak(settings))) process.exitCode = 1;
} catch (error) {
  console.error(`soak: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}
