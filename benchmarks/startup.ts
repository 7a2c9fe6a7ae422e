/** How long the commands take until they serve, and what a frontend takes of the memory under a light load. */
import { once } from "node:events";
import { residentMib } from "../tests/support/memory.ts";
import { median, runLoad } from "./load.ts";
import { chatBody, openFrontend, start, startFrontend, startWorker, type Starting } from "./servers.ts";

export const startRounds = 15;
/** The memory is looked at after each part of the load. */
const [lanes, parts, chatsOfPart] = [8, 10, 1_000];

const bareServer = 'require("node:http").createServer().listen(0, () => console.error("listening"))';

async function startMs(begin: () => Starting<unknown>): Promise<number> {
  const begunAt = performance.now();
  const { child, found } = begin();
  await found;
  const elapsedMs = performance.now() - begunAt;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
  return elapsedMs;
}

interface Starts {
  readonly bare_start_ms: number;
  readonly frontend_start_ms: number;
  readonly frontend_start_ms_median: number;
  readonly worker_start_ms: number;
  readonly worker_start_ms_median: number;
}

/** From a command's start until it serves, as a user starts it: the fastest of several, because whatever else the machine does makes it slower. */
export async function measureStarts(): Promise<Starts> {
  const look = (line: string): boolean | undefined => line === "listening" || undefined;
  const bare: number[] = [];
  const frontend: number[] = [];
  const worker: number[] = [];
  // By turns: what the machine does besides meets all of them.
  for (let round = 0; round < startRounds; round += 1) {
    bare.push(await startMs(() => start(["--eval", bareServer], { look })));
    frontend.push(await startMs(() => startFrontend()));
    worker.push(await startMs(() => startWorker("info")));
  }
  return {
    bare_start_ms: lowest(bare),
    frontend_start_ms: lowest(frontend),
    frontend_start_ms_median: middle(frontend),
    worker_start_ms: lowest(worker),
    worker_start_ms_median: middle(worker),
  };
}

const lowest = (times: readonly number[]): number => Math.round(Math.min(...times));
const middle = (times: readonly number[]): number => Math.round(median(times.toSorted((left, right) => left - right)));

/** The most that a frontend takes of the memory while eight chats at a time are asked, MiB. A worker must be serving. */
export async function measureResident(): Promise<number> {
  const { pid, port } = await openFrontend();
  const body = chatBody("word", false);
  let most = 0;
  for (let part = 0; part < parts; part += 1) {
    await runLoad({ port, body, concurrency: lanes, count: chatsOfPart });
    most = Math.max(most, residentMib(pid) ?? Number.NaN);
  }
  return most;
}
