/** The mock's embeddings: hashed words. The same text has the same vector at every worker, and texts with words in common are close. */
import type { Embed, Embeddings } from "@dyn/runtime/llm";
import { partsOf, waitMs } from "@dyn/runtime/internal";
import { injectFault, type FaultPlan } from "./faults/faults.ts";
import { addText, beginHash, mix } from "./hash.ts";
import type { MockOptions } from "./options.ts";
import { createTimes } from "./pace/times.ts";

/** Numbers of a vector that a word is added to. */
const places = 32;

type EmbedOptions = Pick<MockOptions, "ttftMs" | "speedupRatio" | "seed" | "embeddingDimensions">;

/** Faults that are due after tokens strike none of these requests: they have no tokens. */
export function createEmbed(
  { ttftMs, speedupRatio, seed, embeddingDimensions }: EmbedOptions,
  { plan, crash }: { readonly plan: FaultPlan; readonly crash: () => void },
): Embed {
  const times = createTimes(ttftMs, seed);
  let requests = 0;
  return async ({ inputs, dimensions = embeddingDimensions }, context): Promise<Embeddings> => {
    const { signal } = context;
    const { connection, logger: log } = partsOf(context);
    const sleep = (ms: number): Promise<void> => waitMs(ms, signal);
    requests += 1;
    const firstMs = speedupRatio === 0 ? 0 : times.at(requests, 0) / speedupRatio;
    if (firstMs > 0) await sleep(firstMs);
    for (const fault of plan.next()) {
      const target = { connection: () => connection, log, sleep, hold: () => plan.hold(signal), crash };
      if (fault.afterTokens === 0) await injectFault(fault, target);
      signal.throwIfAborted();
    }
    return { vectors: inputs.map(({ text }) => toVector(text, dimensions, seed)) };
  };
}

/** Of length 1. */
export function toVector(text: string, dimensions: number, seed: number): Float32Array {
  const vector = new Float32Array(dimensions);
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [text];
  for (const word of words) addWord(vector, mix(addText(beginHash(seed), word)));
  const length = Math.sqrt(vector.reduce((sum, each) => sum + each * each, 0));
  if (length === 0) vector[0] = 1;
  return length === 0 ? vector : vector.map((each) => each / length);
}

// Adds or takes 1 at places that follow from the word.
function addWord(vector: Float32Array, begin: number): void {
  let state = begin || 1;
  for (let left = places; left > 0; left -= 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const at = (state >>> 1) % vector.length;
    vector[at] = (vector[at] ?? 0) + ((state & 1) === 0 ? 1 : -1);
  }
}
