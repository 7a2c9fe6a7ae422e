/** What it costs a frontend that one worker joins or leaves where there are many. */
import { linkSync, mkdirSync, mkdtempSync, rmSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { encodeFileName } from "../packages/runtime/src/discovery/record-file.ts";
import {
  bucketOf,
  formatRecord,
  recordKey,
  toEndpointRecord,
  type DiscoveryRecord,
} from "../packages/runtime/src/discovery/records.ts";
import { eventually, startProgram, type Program } from "../tests/support/cluster.ts";
import { residentMib } from "../tests/support/memory.ts";
import { median } from "./load.ts";
import type { LoopReading } from "./loop-probe.ts";
import { atMost, type Row } from "./table.ts";

/** Each has two records. */
const workers = 2_500;
/** Until its code is compiled. */
const warmUpRounds = 5;
const rounds = 10;
/** What a join or leave costs is over by then, ms. */
const roundMs = 100;
const heartbeatMs = 3_000;
const maxMs = 5;
const maxMib = 250;
const address = { namespace: "bench", component: "backend", endpoint: "generate" };

/** The records of worker `index`, which nobody will dial. */
function recordsOf(index: number, model: string): readonly DiscoveryRecord[] {
  const id = 2n ** 63n + BigInt(index) * 0x9e37_79b9n;
  const card_json = {
    display_name: model,
    slug: model,
    model_type: "Chat | Completions",
    model_input: "Text",
    worker_type: "aggregated",
    context_length: 8_192,
    kv_cache_block_size: 16,
    migration_limit: 3,
    needs: [],
    runtime_config: {},
  } as const;
  return [
    toEndpointRecord(address, id, { tcp: "127.0.0.1:9", isTls: false }),
    { type: "Model", ...address, instance_id: id, card_json },
  ];
}

/** A directory with records whose owners are alive. */
class Records implements Disposable {
  readonly directory: string = mkdtempSync(join(tmpdir(), "dyn-joins-"));
  #paths: string[] = [];
  #next = 0;
  #beatAt: number = performance.now();
  #heart = setInterval(() => this.#beat(), 30);

  constructor() {
    for (const bucket of ["v1/instances", "v1/mdc"]) mkdirSync(join(this.directory, bucket), { recursive: true });
  }

  // A part at a time, as workers do that began at different times; late is not lost.
  #beat(): void {
    const now = performance.now();
    const due = Math.min(this.#paths.length, Math.ceil((this.#paths.length * (now - this.#beatAt)) / heartbeatMs));
    this.#beatAt = now;
    const seconds = Date.now() / 1_000;
    for (let touched = 0; touched < due; touched += 1) {
      this.#next = (this.#next + 1) % this.#paths.length;
      utimesSync(this.#paths[this.#next] ?? "", seconds, seconds);
    }
  }

  add(records: readonly DiscoveryRecord[]): void {
    for (const record of records) {
      const directory = join(this.directory, bucketOf(record));
      const path = join(directory, encodeFileName(recordKey(record)));
      const temporary = join(directory, ".tmp_bench");
      writeFileSync(temporary, formatRecord(record));
      linkSync(temporary, path);
      unlinkSync(temporary);
      this.#paths.push(path);
    }
  }

  /** The two that were added last. */
  removeLast(): void {
    for (const path of this.#paths.splice(-2)) unlinkSync(path);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#heart);
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

function askLoopCpuMs({ child }: Program): Promise<number> {
  return new Promise((resolve) => {
    const hear = (message: object): void => {
      if (!("loopCpuMs" in message)) return; // it also tells where it listens
      child.off("message", hear);
      resolve((message as LoopReading).loopCpuMs);
    };
    child.on("message", hear).send("how much was it?");
  });
}

/** CPU time of the event loop in the time of `change` and what follows from it, ms. */
async function observe(frontend: Program, ms: number, change: () => void): Promise<number> {
  const before = await askLoopCpuMs(frontend);
  change();
  await pause(ms);
  return (await askLoopCpuMs(frontend)) - before;
}

interface Scene {
  readonly name: string;
  readonly modelOf: (worker: number) => string;
}

const scenes: readonly Scene[] = [
  { name: `${workers} models at one endpoint`, modelOf: (worker) => `model-${worker}` },
  { name: `${workers} workers of one model`, modelOf: () => "model" },
];

async function measureScene({ name, modelOf }: Scene): Promise<Row[]> {
  using records = new Records();
  for (let worker = 0; worker < workers; worker += 1) {
    records.add(recordsOf(worker, modelOf(worker)));
    if (worker % 20 === 0) await pause(1); // the first must not die before the last is there
  }
  let [joined, isListening] = [0, false];
  const onLine = (line: string): void => {
    if (line.includes('"instance joined"')) joined += 1;
    if (line.includes('"frontend is listening"')) isListening = true;
  };
  const env = {
    DYN_FILE_KV: records.directory,
    NODE_OPTIONS: `--import=${new URL("loop-probe.ts", import.meta.url).href}`,
  };
  await using frontend = startProgram("dyn-frontend", ["--http-port", "0"], env, { onLine, isOwned: true });
  await eventually("all workers being there", () => isListening && joined === workers, 120_000);
  const mib = (): number => residentMib(frontend.pid) ?? Number.NaN;
  let mostMib = mib();
  const quiet: number[] = [];
  for (let round = 0; round < 2 * rounds; round += 1) quiet.push(await observe(frontend, roundMs, () => undefined));
  const costs: number[] = [];
  for (let round = 0; round < warmUpRounds + rounds; round += 1) {
    const join = (): void => records.add(recordsOf(workers + round, modelOf(workers + round)));
    for (const change of [join, (): void => records.removeLast()]) {
      const cpuMs = await observe(frontend, roundMs, change);
      mostMib = Math.max(mostMib, mib());
      if (round >= warmUpRounds) costs.push(cpuMs);
    }
  }
  const sum = quiet.reduce((total, ms) => total + ms, 0);
  return [
    {
      name: `${name}, event loop while nothing changes`,
      value: `${((100 * sum) / (quiet.length * roundMs)).toFixed(1)} %`,
    },
    atMost("  event loop by one that joins or leaves", Math.max(0, middle(costs) - middle(quiet)), maxMs, " ms", 2),
    atMost("  memory of the frontend", mostMib, maxMib, " MiB", 0),
  ];
}

function middle(times: readonly number[]): number {
  return median(times.toSorted((left, right) => left - right));
}

/** Workers join and leave, one by one. */
export async function measureJoins(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const scene of scenes) rows.push(...(await measureScene(scene)));
  return rows;
}
