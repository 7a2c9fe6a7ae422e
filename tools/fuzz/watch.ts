/** Runs a campaign in a thread of its own and watches it: a case that never ends, or takes the memory, is caught with its bytes. */
import { Worker } from "node:worker_threads";
import type { Failure, Summary } from "./campaign.ts";
import type { ThreadInput, ThreadOutput } from "./thread.ts";

/** Bytes of one case that can be seen from outside. */
const maxSeenBytes = 1024 * 1024;
const watchMs = 250;
const targetsModule = new URL("targets.ts", import.meta.url).href;
/** Failures of one kind that are told, the first ones. */
const maxAlike = 2;
/** What is held may vary by this; more is a leak. */
const maxGrownBytes = 8 * 1024 * 1024;
/** With fewer there is no tenth to compare with. */
const minGrowthCases = 10;

export interface WatchOptions {
  /** Default: the module of the real ones. */
  readonly module?: string;
  readonly target: string;
  readonly seed: number;
  readonly cases: number;
  /** A case that takes longer is a hang, ms. */
  readonly hangMs: number;
  /** Heap of the thread, MiB: for all that one case may need, too little for what a few bytes claim to be. Default 1024. */
  readonly heapMb?: number;
  /** Called now and then with how many cases have been fed. */
  readonly onProgress?: (fed: number) => void;
}

export interface Report {
  /** Undefined if the campaign did not get to its end. */
  readonly summary: Summary | undefined;
  readonly failures: readonly Failure[];
}

/** Never rejects: what goes wrong in the thread is a failure of the case it was at. */
export async function watchCampaign({
  module = targetsModule,
  target,
  seed,
  cases,
  hangMs,
  heapMb = 1_024,
  onProgress,
}: WatchOptions): Promise<Report> {
  const progress = new Int32Array(new SharedArrayBuffer(12));
  const current = new Uint8Array(new SharedArrayBuffer(maxSeenBytes));
  const failures: Failure[] = [];
  let summary: Summary | undefined;
  const workerData: ThreadInput = { module, target, seed, cases, progress, current };
  const thread = new Worker(new URL("thread.ts", import.meta.url), {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: heapMb },
  });
  const blameCurrent = (reason: string): void => {
    const [, index = 0, length = 0] = progress;
    failures.push({ target, index, bytes: Uint8Array.from(current.subarray(0, length)), reason });
  };
  let seen = 0;
  let since = performance.now();
  const watch = setInterval(() => {
    const begun = progress[0] ?? 0;
    onProgress?.(progress[1] ?? 0);
    if (begun !== seen) [seen, since] = [begun, performance.now()];
    else if (begun > 0 && !summary && performance.now() - since > hangMs) {
      blameCurrent(`no end after ${hangMs} ms`);
      clearInterval(watch);
      void thread.terminate();
    }
  }, watchMs);
  try {
    await new Promise<void>((resolve) => {
      thread.on("message", (output: ThreadOutput) => {
        if (output.type === "summary") summary = output.summary;
        else if (failures.filter(({ reason }) => reason === output.failure.reason).length < maxAlike)
          failures.push(output.failure);
      });
      thread.on("error", (error) => blameCurrent(`the thread ended: ${error.message}`));
      thread.on("exit", (code) => {
        if (!summary && failures.length === 0) blameCurrent(`the thread ended by itself, with ${code}`);
        resolve();
      });
    });
  } finally {
    clearInterval(watch);
  }
  const grown = cases < minGrowthCases ? 0 : (summary?.grownBytes ?? 0);
  if (grown > maxGrownBytes)
    failures.push({
      target,
      index: -1,
      bytes: new Uint8Array(),
      reason: `${grown} bytes more are held than after a tenth of the cases`,
    });
  return { summary, failures };
}
