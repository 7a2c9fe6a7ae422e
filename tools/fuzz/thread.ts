// The thread that feeds the cases of one target. What it does can be seen from outside even if it never returns.
import { parentPort, workerData } from "node:worker_threads";
import { runCampaign, type Failure, type Summary } from "./campaign.ts";
import type { Target } from "./target.ts";

/** What the thread is told. */
export interface ThreadInput {
  /** The module that has it among its `targets`. */
  readonly module: string;
  readonly target: string;
  readonly seed: number;
  readonly cases: number;
  /** Where it writes how many inputs it has begun, and which case it is at, and its length. */
  readonly progress: Int32Array<SharedArrayBuffer>;
  /** Where it writes the bytes of that case. */
  readonly current: Uint8Array<SharedArrayBuffer>;
}

/** What it says. */
export type ThreadOutput =
  | { readonly type: "failure"; readonly failure: Failure }
  | { readonly type: "summary"; readonly summary: Summary };

const { module, target: name, seed, cases, progress, current } = workerData as ThreadInput;
const { targets } = (await import(module)) as { readonly targets: readonly Target[] };
const target = targets.find((each) => each.name === name);
if (!target || !parentPort) throw new Error(`no target ${name}`);
const port = parentPort;
const say = (output: ThreadOutput): void => port.postMessage(output);
const summary = await runCampaign(target, {
  seed,
  cases,
  onCase(index, bytes) {
    current.set(bytes.subarray(0, current.length));
    Atomics.store(progress, 2, bytes.length);
    Atomics.store(progress, 1, index);
    Atomics.add(progress, 0, 1);
  },
  onFailure: (failure) => say({ type: "failure", failure }),
});
say({ type: "summary", summary });
