/** The instance of a key: rendezvous hashing with bounded loads.
 *  Each pair of a key and an instance has a rank, and a key goes to the instance with the highest rank that is below the bound. An instance that comes or goes moves its own keys only,
 *  and no process needs to tell another which key goes where, because ranks are the same in all of them.
 *  Source of the bound: Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads", https://arxiv.org/abs/1608.01350 */
import type { Instance } from "../discovery/instance.ts";
import type { PickInput } from "./pick.ts";

/** No instance gets more than this many times its even share of what is under way. */
export const loadFactor = 1.25;

/** @returns undefined when there is no instance. */
export function pickByKey(affinityKey: string, { instances, loadOf }: PickInput): Instance | undefined {
  const bound = boundOf(instances, loadOf);
  const seed = hash(affinityKey);
  let best: Instance | undefined;
  let bestRank = -1;
  for (const instance of instances) {
    const rank = scatter(seed ^ hash(instance.id));
    if (rank > bestRank && loadOf(instance.key) < bound) [best, bestRank] = [instance, rank];
  }
  return best;
}

// The request that is to be sent counts, too: so there is always an instance below the bound.
function boundOf(instances: readonly Instance[], loadOf: PickInput["loadOf"]): number {
  let underWay = 1;
  for (const { key } of instances) underWay += loadOf(key);
  return Math.ceil((loadFactor * underWay) / instances.length);
}

// FNV-1a over UTF-16 code units, and the last step of MurmurHash3, without which short texts that differ in their end have hashes that lie close.
function hash(text: string): number {
  let value = 0x81_1c_9d_c5;
  for (let index = 0; index < text.length; index += 1) value = Math.imul(value ^ text.charCodeAt(index), 0x01_00_01_93);
  return scatter(value);
}

function scatter(value: number): number {
  const first = Math.imul(value ^ (value >>> 16), 0x85_eb_ca_6b);
  const second = Math.imul(first ^ (first >>> 13), 0xc2_b2_ae_35);
  return (second ^ (second >>> 16)) >>> 0;
}
