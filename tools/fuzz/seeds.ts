/** Inputs that are kept in files: valid ones to begin with, and every one that has once broken something. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Corpus } from "./mutate-bytes.ts";
import type { Target } from "./target.ts";

const home = new URL("seeds/", import.meta.url);
/** Larger ones are fed as they are, and not mutated. */
const maxMutatedBytes = 16 * 1024;

export interface Seed {
  readonly file: string;
  readonly bytes: Buffer;
}

/** The kept inputs of one target. `.hex` holds bytes, and lines of `#` that say what they broke; any other file is its own bytes. */
export function readSeeds(target: string): Seed[] {
  const directory = new URL(`${target}/`, home);
  if (!existsSync(directory)) return [];
  const names = readdirSync(directory).toSorted();
  return names.map((name) => {
    const content = readFileSync(new URL(name, directory));
    return { file: `${target}/${name}`, bytes: name.endsWith(".hex") ? parseHex(content.toString()) : content };
  });
}

function parseHex(text: string): Buffer {
  return Buffer.from(text.replace(/^#.*$/gm, "").replace(/\s+/g, ""), "hex");
}

/** What is mutated. */
export function corpusOf(target: Pick<Target, "name" | "corpus">): Corpus {
  const kept = readSeeds(target.name).map(({ bytes }) => bytes);
  const [first = Buffer.alloc(0), ...rest] = [...target.corpus, ...kept].filter(
    ({ length }) => length <= maxMutatedBytes,
  );
  return [first, ...rest];
}

/** Keep an input that has broken something, unless it is kept. @returns the path of its file. */
export function keepSeed(target: string, bytes: Uint8Array, reason: string): string {
  const directory = new URL(`${target}/`, home);
  mkdirSync(directory, { recursive: true });
  const name = `found-${createHash("sha256").update(bytes).digest("hex").slice(0, 12)}.hex`;
  const lines =
    Buffer.from(bytes)
      .toString("hex")
      .match(/.{1,120}/g) ?? [];
  if (!existsSync(new URL(name, directory)))
    writeFileSync(new URL(name, directory), [`# ${reason.replace(/\s+/g, " ")}`, ...lines, ""].join("\n"));
  return `tools/fuzz/seeds/${target}/${name}`;
}
