/** Many cases of one target, in this thread: what they came to, how long they took, and what they left behind. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createRandom, mixSeed } from "./random.ts";
import { corpusOf, readSeeds } from "./seeds.ts";
import { describeThrown, refusalCode, type Target } from "./target.ts";

export interface CampaignOptions {
  readonly seed: number;
  readonly cases: number;
  /** Called with each input before it is fed. */
  readonly onCase?: (index: number, bytes: Buffer) => void;
  readonly onFailure: (failure: Failure) => void;
}

export interface Failure {
  readonly target: string;
  readonly index: number;
  readonly bytes: Uint8Array;
  readonly reason: string;
}

export interface Summary {
  readonly target: string;
  readonly cases: number;
  readonly seconds: number;
  /** How many were taken, and how many refused, by code. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly failures: number;
  readonly slowest: { readonly index: number; readonly ms: number; readonly bytes: number };
  /** What is held after all of them beside what was held after a tenth, bytes; both after a collection. */
  readonly grownBytes: number;
}

/** The input of one case: the same for the same seed, whatever was run before. */
export function makeCase(target: Target, corpus: ReturnType<typeof corpusOf>, seed: number, index: number): Buffer {
  return target.mutate(createRandom(mixSeed(seed, target.name, index)), corpus);
}

/** Feed one input. @returns what it came to, and whether a target may come to that. */
async function feedCase(
  target: Target,
  bytes: Buffer,
): Promise<{ readonly outcome: string; readonly isFailure: boolean }> {
  try {
    await target.feed(bytes);
    return { outcome: "taken", isFailure: false };
  } catch (thrown) {
    const code = refusalCode(target, thrown);
    return { outcome: code ?? describeThrown(thrown), isFailure: code === undefined };
  }
}

/** The kept inputs, with indexes below 0, and then new ones. */
export async function runCampaign(
  target: Target,
  { seed, cases, onCase, onFailure }: CampaignOptions,
): Promise<Summary> {
  const corpus = corpusOf(target);
  const outcomes: Record<string, number> = {};
  let failures = 0;
  let slowest = { index: 0, ms: 0, bytes: 0 };
  let heldBytes = 0;
  const startedAt = performance.now();
  const kept = readSeeds(target.name);
  for (let index = -kept.length; index < cases; index += 1) {
    const bytes = kept[index + kept.length]?.bytes ?? makeCase(target, corpus, seed, index);
    onCase?.(index, bytes);
    const begunAt = performance.now();
    const { outcome, isFailure } = await feedCase(target, bytes);
    const ms = performance.now() - begunAt;
    if (ms > slowest.ms) slowest = { index, ms, bytes: bytes.length };
    if (isFailure) {
      failures += 1;
      onFailure({ target: target.name, index, bytes, reason: outcome });
    } else outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    if (index === Math.floor(cases / 10)) heldBytes = measureHeld();
  }
  const seconds = (performance.now() - startedAt) / 1000;
  return { target: target.name, cases, seconds, outcomes, failures, slowest, grownBytes: measureHeld() - heldBytes };
}

/** Bytes that are held after a collection: objects, and buffers outside the heap. */
function measureHeld(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void; // what the flag has put there
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
