/** Keeps the records of this process alive while its event loop is blocked: a thread, which needs no turn of the loop, touches their files then. A process that is
 *  stopped has all of its threads stopped, so that its records expire all the same. */
import { Worker } from "node:worker_threads";
import type { Logger } from "../logging/logger.ts";
import { closeFile } from "./directory.ts";

/** How long a loop may be blocked before its records are left to expire, ms: by then nobody waits for it any more. */
export const longestBlockMs = 60_000;
/** How often the loop shows that it runs, and the thread looks whether it has, ms. */
const everyMs = 500;
/** How long it may have shown nothing before the thread touches the records, ms. */
const lateMs = 1_000;

/** The thread starts with the first file; where there can be none, that is logged, and records are as good as without it. Disposing it ends the thread and closes the files. */
export interface Pulse extends AsyncDisposable {
  /** Touch this file, too; another of the same path is closed. Takes ownership of the descriptor. */
  keep(path: string, file: number): void;
  /** Touch it no more. */
  forget(path: string): void;
  [Symbol.asyncDispose](): Promise<void>;
}

interface Beats {
  /** One number, counted up by the loop. */
  readonly beats: Int32Array;
  readonly everyMs: number;
  readonly lateMs: number;
  readonly longestMs: number;
}

interface Order {
  /** The files from now on, by their descriptors. */
  readonly descriptors: readonly number[];
  /** Sent back: no other files are touched any more. */
  readonly round: number;
}

// The whole of the thread. It is handed over as text, because a thread reads files of its own, and the sources of a test or a bundle are none that it could read.
// So it uses nothing but its arguments and what every thread has.
function beat({ parentPort, workerData }: typeof import("node:worker_threads"), fs: typeof import("node:fs")): void {
  const { beats, everyMs: intervalMs, lateMs: late, longestMs } = workerData as Beats;
  let files: readonly number[] = [];
  let seen = Atomics.load(beats, 0);
  let since = performance.now();
  parentPort?.on("message", ({ descriptors, round }: Order) => {
    files = descriptors;
    parentPort.postMessage(round, []);
  });
  setInterval(() => {
    const count = Atomics.load(beats, 0);
    if (count !== seen) {
      seen = count;
      since = performance.now();
      return;
    }
    const silentMs = performance.now() - since;
    if (silentMs < late || silentMs > longestMs) return;
    const at = Date.now() / 1_000;
    for (const file of files) {
      try {
        fs.futimesSync(file, at, at);
      } catch {
        // the loop finds that out, too, and tells it
      }
    }
  }, intervalMs);
}

/** Create one without files. `start`: of the thread; tests put another in its place. */
export function createPulse(log: Logger, start: typeof startWorker = startWorker): Pulse {
  let thread: Thread | undefined;
  let isOver = false;
  return {
    keep(path, file) {
      if (isOver) return closeFile(file);
      thread ??= startThread(log, start);
      thread.replace(path, file);
    },
    forget: (path) => thread?.replace(path, undefined),
    async [Symbol.asyncDispose]() {
      isOver = true;
      await thread?.[Symbol.asyncDispose]();
    },
  };
}

interface Thread extends AsyncDisposable {
  replace(path: string, file: number | undefined): void;
}

// A file is closed when the thread has said that it does not touch it any more: its descriptor may be another file's then.
function startThread(log: Logger, start: typeof startWorker): Thread {
  const beats = new Int32Array(new SharedArrayBuffer(4));
  const failed = (error: unknown): void =>
    log.warn({ error }, "thread of discovery failed, a blocked event loop lets records expire");
  let worker: Worker;
  try {
    worker = start({ beats, everyMs, lateMs, longestMs: longestBlockMs });
  } catch (error) {
    failed(error); // Node's permissions may forbid threads
    return noThread;
  }
  worker.on("error", failed);
  const timer = setInterval(() => void Atomics.add(beats, 0, 1), everyMs).unref();
  const files = new Map<string, number>();
  const retired = new Map<number, number>();
  let rounds = 0;
  worker.on("message", (round: number) => {
    const file = retired.get(round);
    retired.delete(round);
    if (file !== undefined) closeFile(file);
  });
  return {
    replace(path, file) {
      const before = files.get(path);
      if (file !== undefined) files.set(path, file);
      else files.delete(path);
      rounds += 1;
      if (before !== undefined) retired.set(rounds, before);
      const order: Order = { descriptors: [...files.values()], round: rounds };
      worker.postMessage(order, []);
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await worker.terminate();
      for (const file of [...files.values(), ...retired.values()]) closeFile(file);
      files.clear();
      retired.clear();
    },
  };
}

const noThread: Thread = {
  replace(_path, file) {
    if (file !== undefined) closeFile(file);
  },
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

// It inherits neither options nor variables of this process: preloaded modules have no business there.
function startWorker(workerData: Beats): Worker {
  const worker = new Worker(`(${beat.toString()})(require("node:worker_threads"), require("node:fs"))`, {
    eval: true,
    execArgv: [],
    env: {},
    name: "dyn discovery",
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 }, // it has a list of some numbers
  });
  worker.unref();
  return worker;
}
