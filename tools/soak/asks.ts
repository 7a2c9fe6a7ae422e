/** What the load asks: each request has words of its own, so an answer that is short, doubled or somebody else's shows. */
import type { Random } from "./random.ts";

export type Shape = "chat" | "chat stream" | "completion" | "completion stream" | "message" | "message stream";
/** How the client reads: to the end, to the end with pauses, or not to the end. */
export type Manner = "reads" | "dawdles" | "leaves";

export interface Expected {
  readonly texts: readonly string[];
  readonly reasons: readonly string[];
  /** Tokens of the prompt and of all completions; undefined where a stop string decides. */
  readonly usage: readonly [number, number] | undefined;
}

export interface Ask {
  /** Sent as x-request-id. */
  readonly id: string;
  readonly shape: Shape;
  readonly manner: Manner;
  readonly body: Readonly<Record<string, unknown>>;
  readonly expected: Expected;
}

type Part = Pick<Ask, "shape" | "body" | "expected"> & { readonly manner?: Manner };

function toWords(id: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${id}.${index}`);
}

function stream(isStream: boolean): Readonly<Record<string, unknown>> {
  return isStream ? { stream: true, stream_options: { include_usage: true } } : {};
}

function chat(
  model: string,
  words: readonly string[],
  isStream: boolean,
  more: Readonly<Record<string, unknown>> = {},
): Part {
  const text = words.join(" ");
  const body = { model, messages: [{ role: "user", content: text }], ...stream(isStream), ...more };
  const expected = { texts: [text], reasons: ["stop"], usage: [words.length, words.length] as const };
  return { shape: isStream ? "chat stream" : "chat", body, expected };
}

function choices(words: readonly string[], random: Random): Part {
  const [n, limit] = [random.whole(2, 3), random.whole(1, words.length - 1)];
  const part = chat("mock", words, random.share() < 0.7, { n, max_tokens: limit });
  const text = words.slice(0, limit).join(" ");
  return {
    ...part,
    expected: { texts: Array(n).fill(text), reasons: Array(n).fill("length"), usage: [words.length, n * limit] },
  };
}

function stopped(words: readonly string[], random: Random): Part {
  const at = random.whole(1, words.length - 1);
  const part = chat("mock", words, random.share() < 0.7, { stop: [` ${words[at]}`, "never said"] });
  // A stop string is found in the middle of a word, too: the first word it begins.
  const text = words.join(" ");
  return {
    ...part,
    expected: { texts: [text.slice(0, text.indexOf(` ${words[at]}`))], reasons: ["stop"], usage: undefined },
  };
}

function completion(words: readonly string[], random: Random): Part {
  const isStream = random.share() < 0.6;
  const half = words.length >> 1;
  const prompts = [words.slice(0, half), words.slice(half)].map((part) => part.join(" "));
  const body = { model: "mock", prompt: prompts, max_tokens: 1_000, ...stream(isStream) };
  return {
    shape: isStream ? "completion stream" : "completion",
    body,
    expected: { texts: prompts, reasons: ["stop", "stop"], usage: [words.length, words.length] },
  };
}

function message(words: readonly string[], random: Random): Part {
  const isStream = random.share() < 0.6;
  const text = words.join(" ");
  const body = {
    model: "mock",
    max_tokens: 1_000,
    messages: [{ role: "user", content: text }],
    ...(isStream && { stream: true }),
  };
  return {
    shape: isStream ? "message stream" : "message",
    body,
    expected: { texts: [text], reasons: ["end_turn"], usage: [words.length, words.length] },
  };
}

const slowWords = 20_000;
const mix: readonly (readonly [weight: number, make: (id: string, random: Random) => Part])[] = [
  [20, (id, random) => chat("mock", toWords(id, random.whole(1, 120)), false)],
  [25, (id, random) => chat("mock", toWords(id, random.whole(1, 200)), true)],
  [10, (id, random) => choices(toWords(id, random.whole(2, 60)), random)],
  [8, (id, random) => stopped(toWords(id, random.whole(2, 60)), random)],
  [8, (id, random) => completion(toWords(id, random.whole(2, 60)), random)],
  [10, (id, random) => message(toWords(id, random.whole(1, 100)), random)],
  [10, (id, random) => chat("split", toWords(id, random.whole(1, 100)), random.share() < 0.5)],
  [8, (id) => ({ ...chat("mock", toWords(id, 300), true), manner: "leaves" })],
  [1, (id) => ({ ...chat("fast", toWords(id, slowWords), true), manner: "dawdles" })],
];
const allWeights = mix.reduce((sum, [weight]) => sum + weight, 0);

/** The request with this id; what it asks follows from `random`. */
export function createAsk(id: string, random: Random): Ask {
  let left = random.share() * allWeights;
  for (const [weight, make] of mix) {
    left -= weight;
    if (left < 0) return { id, manner: "reads", ...make(id, random) };
  }
  throw new Error("the weights do not add up");
}

export function pathOf(shape: Shape): string {
  if (shape.startsWith("chat")) return "/v1/chat/completions";
  return shape.startsWith("completion") ? "/v1/completions" : "/v1/messages";
}
