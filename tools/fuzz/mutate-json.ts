/** What can become of a JSON body: wrong types, extremes, strange keys, texts that no serializer writes. */
import { mutateBytes, randomBytes, type Corpus } from "./mutate-bytes.ts";
import type { Random } from "./random.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const marker = "\u0001raw";
const rawPattern = /"\\u0001raw(\d+)"/g;

// JSON texts as they stand, most of which JSON.stringify would not write.
const nastyTexts = [
  "null",
  "true",
  "false",
  "0",
  "-0",
  "-1",
  "1.5",
  "1e400",
  "-1e400",
  "1e-400",
  "9007199254740993",
  "18446744073709551616",
  `1${"0".repeat(400)}`,
  `0.${"3".repeat(400)}`,
  '""',
  '"text"',
  '"\\ud800"',
  '"\\udc00\\ud800"',
  `"${"\\ud83d".repeat(100)}"`,
  '"\\u0000"',
  '"__proto__"',
  '"constructor"',
  '"\u2028\u2029\ufeff"',
  `"${"x".repeat(257)}"`,
  `"${"é".repeat(300)}"`,
  "[]",
  "{}",
  "[null]",
  "[[]]",
  "[1,2,3]",
  '["a","a","a","a","a"]',
  '{"type":"text","text":"t"}',
  '[{"type":"text","text":"t"},{"type":"image_url"}]',
  '{"type":"tool_result","content":[{"type":"text","text":"t"}]}',
  '{"role":"assistant"}',
  '{"__proto__":{"model":"m"}}',
  '{"constructor":{"prototype":{"stream":true}}}',
  '{"toString":1,"valueOf":2,"hasOwnProperty":3,"length":-1}',
  '{"a":1,"a":2,"\\u0061":3}',
  '{"":0}',
] as const;
const knownKeys = [
  "model",
  "messages",
  "content",
  "role",
  "type",
  "text",
  "name",
  "prompt",
  "stop",
  "stream",
  "n",
  "tools",
  "tool_choice",
] as const;
const moreKeys = [
  "max_tokens",
  "temperature",
  "seed",
  "stream_options",
  "include_usage",
  "system",
  "thinking",
  "echo",
  "best_of",
  "logprobs",
] as const;
const strangeKeys = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "\u0000",
  "\ud800",
  "0",
  "-1",
  "length",
  "then",
  "toJSON",
  "",
] as const;

// Rare, because large: what is deep, long or wide.
function largeText(random: Random): string {
  const size = random.pick([100, 1_000, 10_000, 100_000]);
  return random.pick([
    () => `${"[".repeat(size)}${"]".repeat(size)}`,
    () => `${'{"a":'.repeat(size)}1${"}".repeat(size)}`,
    () => "[".repeat(size),
    () => `[${"1,".repeat(size)}1]`,
    () => `[${"{},".repeat(size)}{}]`,
    () => `"${"\\u00e9".repeat(size)}"`,
    () => `{${Array.from({ length: size }, (_, index) => `"k${index}":${index}`).join(",")}}`,
    () => `${" ".repeat(size)}${"\n".repeat(size)}7`,
    () => "7".repeat(size),
  ])();
}

/** Mutates the structure of a JSON text, and at times its bytes; a text that is no JSON by its bytes alone. */
export function mutateJson(random: Random, corpus: Corpus): Buffer {
  if (random.oneIn(50)) return randomBytes(random);
  const bytes = random.pick(corpus);
  const value = parse(bytes);
  if (value === undefined || random.oneIn(6)) return mutateBytes(random, bytes, corpus);
  const raws: string[] = [];
  const raw = (): string =>
    `${marker}${raws.push(random.oneIn(2_000) ? largeText(random) : random.pick(nastyTexts)) - 1}`;
  let mutated: Json = value;
  for (let left = 1 + random.below(1 + random.below(5)); left > 0; left -= 1)
    mutated = mutateValue(random, mutated, raw);
  const text = JSON.stringify(mutated).replace(rawPattern, (_all, index: string) => raws[Number(index)] ?? "null");
  const dressed = Buffer.from(
    random.oneIn(40) ? `${random.pick(["\ufeff", " ", "\n\n", "\u0000", "//", "["])}${text}` : text,
  );
  return random.oneIn(12) ? mutateBytes(random, dressed, corpus) : dressed;
}

function parse(bytes: Buffer): Json | undefined {
  try {
    return JSON.parse(bytes.toString()) as Json;
  } catch {
    return undefined; // a seed that was found by its bytes
  }
}

// Goes down at random and changes what it finds there.
function mutateValue(random: Random, value: Json, raw: () => string): Json {
  if (typeof value !== "object" || value === null || random.oneIn(12)) return raw();
  if (Array.isArray(value)) return mutateList(random, value, raw);
  const entries = Object.entries(value);
  const key = random.oneIn(3)
    ? random.pick([random.pick(knownKeys), random.pick(moreKeys), random.pick(strangeKeys)])
    : undefined;
  if (key !== undefined || entries.length === 0) return fromEntries([...entries, [key ?? "", raw()]]);
  const at = random.below(entries.length);
  const [name, inner] = entries[at] ?? ["", null];
  if (random.oneIn(10)) return fromEntries(entries.toSpliced(at, 1));
  return fromEntries(
    entries.with(at, [random.oneIn(20) ? random.pick(strangeKeys) : name, mutateValue(random, inner, raw)]),
  );
}

function mutateList(random: Random, list: Json[], raw: () => string): Json {
  const at = random.below(list.length + 1);
  const item = list[at];
  if (item === undefined || random.oneIn(4)) return list.toSpliced(at, 0, raw());
  if (random.oneIn(6)) return list.toSpliced(at, 1);
  if (random.oneIn(6)) return list.toSpliced(at, 0, item);
  return list.with(at, mutateValue(random, item, raw));
}

// A key may be __proto__, and stays one of the object's own.
function fromEntries(entries: readonly (readonly [string, Json])[]): Json {
  const value: Record<string, Json> = Object.create(null) as Record<string, Json>;
  for (const [key, inner] of entries)
    Object.defineProperty(value, key, { value: inner, enumerable: true, configurable: true, writable: true });
  return value;
}
