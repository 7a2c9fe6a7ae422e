/** Chances of a mutation, the same for the same seed. */
import { createRandom as createSequence } from "../soak/random.ts";

export interface Random {
  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number;
  /** True in one of `times` cases. */
  oneIn(times: number): boolean;
  pick<Value>(list: readonly [Value, ...Value[]]): Value;
}

/** One number out of a seed, a name and an index: each case stands for itself and can be made again without those before it. */
export function mixSeed(seed: number, name: string, index: number): number {
  let hash = Math.imul(seed ^ 0x9e37_79b9, 0x85eb_ca6b);
  for (const char of name) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x0100_0193);
  return Math.imul(hash ^ index ^ (hash >>> 15), 0xc2b2_ae35) ^ (hash >>> 13);
}

/** The sequence of `seed`. */
export function createRandom(seed: number): Random {
  const sequence = createSequence(seed);
  const below = (limit: number): number => Math.floor(sequence.share() * limit);
  return { below, oneIn: (times) => below(times) === 0, pick: (list) => sequence.pick(list) };
}
