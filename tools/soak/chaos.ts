/** What goes wrong during a soak, one thing after the other; all is well again before the next. */
import { spawn } from "node:child_process";
import { readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { eventually } from "../../tests/support/cluster.ts";
import type { Fleet, Worker } from "../../tests/support/fleet.ts";
import type { Random } from "./random.ts";

export interface ChaosOptions {
  readonly fleet: Fleet;
  readonly random: Random;
  /** Its worker stays, though it may be stopped or fail: its memory is looked at. */
  readonly kept: Worker;
  /** Resolves after so long, or when there is no time left. */
  readonly rest: (ms: number) => Promise<void>;
  /** Told what happens. */
  readonly tell: (event: string) => void;
  /** Told what should not have. */
  readonly complain: (why: string) => void;
}

export interface Chaos {
  /** How often each kind has happened. */
  readonly counts: ReadonlyMap<string, number>;
  /** Do one thing to the fleet; resolves when all is well again. */
  disturb(): Promise<void>;
}

interface Kind {
  readonly name: string;
  readonly weight: number;
  readonly happen: (options: ChaosOptions) => Promise<void>;
}

/** Records must all be there again after so long, ms. */
const backMs = 10_000;

const kinds: readonly Kind[] = [
  { name: "worker killed", weight: 4, happen: kill },
  { name: "worker left", weight: 4, happen: leave },
  { name: "worker stopped", weight: 3, happen: stop },
  { name: "worker failed", weight: 5, happen: fail },
  { name: "worker crashed", weight: 1, happen: crash },
  { name: "directory moved", weight: 1, happen: moveDirectory },
  { name: "records deleted", weight: 1, happen: emptyDirectory },
  { name: "frontend restarted", weight: 2, happen: restartFrontend },
];

/** Create the sequence of what happens: each kind once in an order that is drawn, then drawn by weight. */
export function createChaos(options: ChaosOptions): Chaos {
  const { random } = options;
  const counts = new Map(kinds.map(({ name }) => [name, 0]));
  const weighted = kinds.flatMap((kind) => Array<Kind>(kind.weight).fill(kind)) as [Kind, ...Kind[]]; // none of them is empty
  const firsts = kinds
    .map((kind) => [random.share(), kind] as const)
    .toSorted(([left], [right]) => left - right)
    .map(([, kind]) => kind);
  return {
    counts,
    async disturb() {
      const { name, happen } = firsts.pop() ?? random.pick(weighted);
      await happen(options);
      counts.set(name, (counts.get(name) ?? 0) + 1);
    },
  };
}

const byName = new Intl.Collator("en", { numeric: true });

// In the order of their names: that in which they have joined is not the seed's.
function pickWorker({ fleet, random }: ChaosOptions, except?: Worker): Worker {
  const workers = fleet.workers
    .filter((worker) => worker !== except)
    .toSorted((left, right) => byName.compare(left.name, right.name));
  return random.pick(workers as [Worker, ...Worker[]]); // there always are some
}

async function kill(options: ChaosOptions): Promise<void> {
  const worker = pickWorker(options, options.kept);
  options.tell(`${worker.name} killed`);
  await options.fleet.endWorker(worker, "SIGKILL");
  await options.fleet.addWorker(worker.role);
}

async function leave(options: ChaosOptions): Promise<void> {
  const worker = pickWorker(options, options.kept);
  options.tell(`${worker.name} leaves`);
  const [exit] = await Promise.all([options.fleet.endWorker(worker, "SIGTERM"), options.fleet.addWorker(worker.role)]);
  if (exit !== 0) options.complain(`${worker.name} drained and ended with ${exit}`);
}

async function stop(options: ChaosOptions): Promise<void> {
  const worker = pickWorker(options);
  const ms = options.random.whole(500, 14_000);
  options.tell(`${worker.name} stopped for ${(ms / 1000).toFixed(1)} s`);
  {
    using _guard = continueAfter(worker.program.pid, ms);
    worker.program.kill("SIGSTOP");
    await options.rest(ms);
    worker.program.kill("SIGCONT");
  }
  await options.rest(2_000);
}

// Even if this process is killed: a stopped one does not notice that.
function continueAfter(pid: number, ms: number): Disposable {
  const script = `sleep ${ms / 1_000}; kill -CONT ${pid}`;
  const guard = spawn("sh", ["-c", script], { detached: true, stdio: "ignore" });
  return {
    [Symbol.dispose]() {
      if (guard.pid !== undefined && guard.exitCode === null) process.kill(-guard.pid, "SIGKILL"); // its sleep, too
    },
  };
}

async function fail(options: ChaosOptions): Promise<void> {
  const { random } = options;
  const worker = pickWorker(options);
  const at = random.whole(0, 40);
  const fault = random.pick([
    `cut@${at}%0.2`,
    `garbage@${at}%0.2`,
    `error:unavailable@${at}%0.3`,
    "error:overloaded%0.5",
    "delay:300%0.3",
  ]);
  options.tell(`${worker.name} has ${fault}`);
  await setFaults(worker, fault);
  await options.rest(random.whole(1_000, 4_000));
  await setFaults(worker, "");
}

async function crash(options: ChaosOptions): Promise<void> {
  const worker = pickWorker(options, options.kept);
  const fault = `crash@${options.random.whole(0, 20)}`;
  options.tell(`${worker.name} has ${fault}`);
  await setFaults(worker, fault);
  await Promise.race([worker.program.exited, options.rest(4_000)]); // if nobody asks it anything long enough
  await options.fleet.endWorker(worker, "SIGKILL");
  await options.fleet.addWorker(worker.role);
}

async function setFaults({ systemPort }: Worker, faults: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${systemPort}/faults`, { method: "PUT", body: faults });
  if (!response.ok) throw new Error(`/faults: ${await response.text()}`);
}

const buckets = ["v1/instances", "v1/mdc"] as const;

async function moveDirectory(options: ChaosOptions): Promise<void> {
  const { fleet, random, rest, tell } = options;
  tell("the discovery directory moved away");
  const away = join(fleet.directory, "away");
  await rename(join(fleet.directory, "v1"), away);
  await rest(random.whole(0, 3_000));
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
