/** What can become of bytes: bits flipped, lengths changed, parts cut, repeated, moved, or taken from another input. */
import type { Random } from "./random.ts";

/** At least one input to begin with. */
export type Corpus = readonly [Buffer, ...Buffer[]];

const maxBytes = 16 * 1024;
const edgeBytes = [
  0x00, 0x01, 0x7f, 0x80, 0x90, 0xa0, 0xc0, 0xc1, 0xc7, 0xd4, 0xd6, 0xd9, 0xdc, 0xdd, 0xde, 0xdf, 0xed, 0xff,
] as const;
const edgeLengths = [
  0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff,
] as const;
// What msgpack knows beside plain data: references, records, errors, patterns, sets, typed lists, large numbers, times, shared texts.
const extensionTypes = [0x00, 0x42, 0x62, 0x65, 0x69, 0x70, 0x72, 0x73, 0x74, 0x78, 0xff] as const;

type Mutation = (random: Random, bytes: Buffer, corpus: Corpus) => Buffer;

function splice(bytes: Buffer, at: number, remove: number, insert: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
}

function cutOut(random: Random, bytes: Buffer): Buffer {
  const from = random.below(bytes.length + 1);
  return bytes.subarray(from, from + random.below(Math.min(64, bytes.length - from) + 1));
}

// Lengths on the plane are big-endian, of 1, 2 or 4 bytes; off by one is the classic.
function editLength(random: Random, bytes: Buffer): Buffer {
  const size = random.pick([1, 2, 4]);
  if (bytes.length < size) return bytes;
  const at = random.below(bytes.length - size + 1);
  const limit = 2 ** (8 * size);
  const now = bytes.readUIntBE(at, size);
  const next = random.pick([
    now + 1,
    now - 1,
    now * 2,
    bytes.length,
    bytes.length - at - size,
    random.pick(edgeLengths),
  ]);
  const edited = Buffer.from(bytes);
  edited.writeUIntBE(((next % limit) + limit) % limit, at, size);
  return edited;
}

function insertExtension(random: Random, bytes: Buffer): Buffer {
  const type = random.pick(extensionTypes);
  const size = random.below(5);
  const fixed = Buffer.from([0xd4 + size, type, ...Array.from({ length: 2 ** size }, () => random.below(4))]);
  const free = Buffer.from([0xc7, size * 3, type, ...Array.from({ length: size * 3 }, () => random.below(256))]);
  return splice(bytes, random.below(bytes.length + 1), random.below(2), random.oneIn(2) ? fixed : free);
}

const mutations: readonly [Mutation, ...Mutation[]] = [
  (random, bytes) => {
    if (bytes.length === 0) return bytes;
    const flipped = Buffer.from(bytes);
    const at = random.below(bytes.length);
    flipped[at] = (flipped[at] ?? 0) ^ (1 << random.below(8));
    return flipped;
  },
  (random, bytes) => splice(bytes, random.below(bytes.length + 1), 1, Buffer.from([random.pick(edgeBytes)])),
  (random, bytes) => splice(bytes, random.below(bytes.length + 1), random.below(2), Buffer.from([random.below(256)])),
  editLength,
  editLength,
  (random, bytes) => bytes.subarray(0, random.below(bytes.length + 1)),
  (random, bytes) => splice(bytes, random.below(bytes.length + 1), random.below(32), Buffer.alloc(0)),
  (random, bytes) => splice(bytes, random.below(bytes.length + 1), 0, cutOut(random, bytes)),
  (random, bytes, corpus) =>
    splice(bytes, random.below(bytes.length + 1), random.below(16), cutOut(random, random.pick(corpus))),
  (random, bytes) =>
    splice(bytes, random.below(bytes.length + 1), 0, Buffer.alloc(random.below(100), random.pick(edgeBytes))),
  insertExtension,
];

/** One to six mutations, one after the other; often one, as most of what many leave is refused at its first byte. */
export function mutateBytes(random: Random, bytes: Buffer, corpus: Corpus): Buffer {
  let mutated = bytes;
  for (let left = 1 + random.below(1 + random.below(6)); left > 0; left -= 1)
    mutated = random.pick(mutations)(random, mutated, corpus);
  return mutated.subarray(0, maxBytes);
}

/** Bytes out of nowhere. */
export function randomBytes(random: Random): Buffer {
  return Buffer.from(Array.from({ length: random.below(random.pick([8, 64, 512])) }, () => random.below(256)));
}
