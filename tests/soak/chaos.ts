/** What goes wrong during a soak, one thing after the other; all is well again before the next. */
import { readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "../cluster.ts";
import type { Fleet, Worker } from "../fleet.ts";
import type { Random } from "./random.ts";

export interface ChaosOptions {
  readonly fleet: Fleet;
  readonly random: Random;
  /** Told what happens. */
  readonly tell: (event: string) => void;
  /** Told what should not have. */
  readonly complain: (why: string) => void;
}

type Event = (options: ChaosOptions) => Promise<void>;

/** Records must all be there again after so long, ms. */
const backMs = 10_000;

/** Do one thing to the fleet, drawn by weight; resolves when all is well again. */
export async function disturb(options: ChaosOptions): Promise<void> {
  const all = events.flatMap(([weight, event]) => Array<Event>(weight).fill(event)) as [Event, ...Event[]];
  await options.random.pick(all)(options);
}

const events: readonly (readonly [weight: number, event: Event])[] = [
  [4, kill],
  [4, leave],
  [3, stop],
  [5, fail],
  [1, crash],
  [1, moveDirectory],
  [1, emptyDirectory],
  [2, restartFrontend],
];

function pickWorker({ fleet, random }: ChaosOptions): Worker {
  return random.pick(fleet.workers as [Worker, ...Worker[]]); // there always are some
}

async function kill(options: ChaosOptions): Promise<void> {
  const worker = pickWorker(options);
  options.tell(`${worker.name} killed`);
  await options.fleet.endWorker(worker, "SIGKILL");
  await options.fleet.addWorker(worker.role);
}

async function leave(options: ChaosOptions): Promise<void> {
  const worker = pickWorker(options);
  options.tell(`${worker.name} leaves`);
  const [exit] = await Promise.all([options.fleet.endWorker(worker, "SIGTERM"), options.fleet.addWorker(worker.role)]);
  if (exit !== 0) options.complain(`${worker.name} drained and ended with ${exit}`);
}

async function stop(options: ChaosOptions): Promise<void> {
  const worker = pickWorker(options);
  const ms = options.random.whole(500, 14_000);
  options.tell(`${worker.name} stopped for ${(ms / 1000).toFixed(1)} s`);
  worker.program.kill("SIGSTOP");
  await sleep(ms);
  worker.program.kill("SIGCONT");
  await sleep(2_000);
}

async function fail(options: ChaosOptions): Promise<void> {
  const { random } = options;
  const worker = pickWorker(options);
  const at = random.whole(0, 40);
  const fault = random.pick([`cut@${at}%0.2`, `garbage@${at}%0.2`, `error:unavailable@${at}%0.3`, "error:overloaded%0.5", "delay:300%0.3"]);
  options.tell(`${worker.name} has ${fault}`);
  await setFaults(worker, fault);
  await sleep(random.whole(1_000, 4_000));
  await setFaults(worker, "");
}

async function crash(options: ChaosOptions): Promise<void> {
  const worker = pickWorker(options);
  const fault = `crash@${options.random.whole(0, 20)}`;
  options.tell(`${worker.name} has ${fault}`);
  await setFaults(worker, fault);
  await Promise.race([worker.program.exited, sleep(4_000)]); // if nobody asks it anything long enough
  await options.fleet.endWorker(worker, "SIGKILL");
  await options.fleet.addWorker(worker.role);
}

async function setFaults({ systemPort }: Worker, faults: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${systemPort}/faults`, { method: "PUT", body: faults });
  if (!response.ok) throw new Error(`/faults: ${await response.text()}`);
}

const buckets = ["v1/instances", "v1/mdc"] as const;

async function moveDirectory(options: ChaosOptions): Promise<void> {
  const { fleet, random, tell } = options;
  tell("the discovery directory moved away");
  const away = join(fleet.directory, "away");
  await rename(join(fleet.directory, "v1"), away);
  await sleep(random.whole(0, 3_000));
  await allBack(options);
  await rm(away, { recursive: true });
}

async function emptyDirectory(options: ChaosOptions): Promise<void> {
  const { fleet, tell } = options;
  tell("the discovery records deleted");
  for (const bucket of buckets) {
    const path = join(fleet.directory, bucket);
    for (const name of await readdir(path)) await rm(join(path, name), { force: true });
  }
  await allBack(options);
}

async function allBack({ fleet }: ChaosOptions): Promise<void> {
  const count = async (): Promise<number> => {
    const names = await Promise.all(buckets.map((bucket) => readdir(join(fleet.directory, bucket)).catch(() => [])));
    return names.flat().filter((name) => !name.startsWith(".")).length;
  };
  await eventually("all records", async () => (await count()) >= fleet.workers.length * 2, backMs);
}

async function restartFrontend({ fleet, tell, complain }: ChaosOptions): Promise<void> {
  const frontend = fleet.frontends.at(-1); // the first one stays: its memory is looked at
  if (!frontend) return;
  tell(`${frontend.name} restarts`);
  const exit = await fleet.restartFrontend(frontend);
  if (exit !== 0) complain(`${frontend.name} drained and ended with ${exit}`);
}
