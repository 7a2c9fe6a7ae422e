// What an engine that knows no limits is held to: tokens, stop strings, whole characters, deltas of the right shape.
import assert from "node:assert";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Delta, ModelRequest } from "../../../packages/runtime/src/llm/contract.ts";
import {
  createCompletionState,
  enforceLimits,
  type CompletionState,
} from "../../../packages/runtime/src/llm/limits.ts";
import { createStopGate, type Stopped } from "../../../packages/runtime/src/llm/stops.ts";
import { TokenClock } from "../../../packages/runtime/src/trace/token-clock.ts";

async function* emit(deltas: readonly Delta[]): AsyncGenerator<Delta> {
  yield* deltas;
}

const newState = (): CompletionState => createCompletionState(() => 2, new TokenClock(0, () => 0));

async function run(
  deltas: readonly Delta[],
  more: Partial<ModelRequest> = {},
  onLone: () => void = () => expect.fail("half of a character was lost"),
): Promise<{ text: string; last: Delta | undefined; all: Delta[] }> {
  const request: ModelRequest = {
    model: "m",
    messages: [{ role: "user", text: "two words" }],
    stop: [],
    sampling: {},
    ...more,
  };
  const all: Delta[] = [];
  for await (const delta of enforceLimits(request, () => emit(deltas), newState(), onLone)) all.push(delta);
  return { text: all.map(({ text }) => text).join(""), last: all.at(-1), all };
}

const small = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 30 });
const stops = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 4 }), {
  minLength: 1,
  maxLength: 4,
});

function cutAt(text: string, cuts: readonly number[]): string[] {
  const edges = [0, ...cuts.filter((cut) => cut < text.length).toSorted((left, right) => left - right), text.length];
  return edges.slice(1).map((edge, index) => text.slice(edges[index], edge));
}

test("the first stop string ends the text before it, wherever the pieces are cut, and pieces pass whole", () => {
  fc.assert(
    fc.property(small, stops, fc.array(fc.nat(30)), (text, wanted, cuts) => {
      const at = wanted.map((stop) => text.indexOf(stop)).filter((index) => index >= 0);
      const first = Math.min(...at);
      const pieces = cutAt(text, cuts);
      const gate = createStopGate(wanted);
      const released: string[] = [];
      let stopped: Stopped | undefined;
      for (const piece of pieces) {
        const step = gate.push({ text: piece });
        released.push(...step.released.map((delta) => delta.text));
        stopped = step.stopped;
        if (stopped) break;
      }
      if (!stopped) {
        const step = gate.flush();
        released.push(...step.released.map((delta) => delta.text));
        stopped = step.stopped;
      }
      expect(released).toEqual(pieces.slice(0, released.length));
      expect(released.join("") + (stopped?.delta.text ?? "")).toBe(at.length > 0 ? text.slice(0, first) : text);
      expect(stopped?.stopText).toBe(wanted.find((stop) => text.startsWith(stop, first)));
    }),
  );
});

describe("an engine that ignores every limit", () => {
  const words = ["a", " b", " c", " d"].map((text): Delta => ({ text }));

  test("gets a finish reason and exact usage", async () => {
    const { text, last, all } = await run(words);
    expect(text).toBe("a b c d");
    expect(last).toEqual({ text: "", finishReason: "stop", usage: { promptTokens: 2, completionTokens: 4 } });
    expect(all.filter(({ finishReason }) => finishReason)).toHaveLength(1);
  });

  test("is cut at max_tokens", async () => {
    const { text, last } = await run(words, { maxTokens: 2 });
    expect(text).toBe("a b");
    expect(last).toMatchObject({ finishReason: "length", usage: { completionTokens: 2 } });
  });

  test("is cut at a stop string", async () => {
    const { text, last } = await run(words, { stop: ["b c"] });
    expect(text).toBe("a ");
    expect(last).toMatchObject({ finishReason: "stop" });
  });

  // Compared with the stop string from every place on, this would be 2 * 10^10 steps.
  test("is not held for long by a stop string that almost matches at every place", async () => {
    const text = `${"a".repeat(199_998)}c`;
    expect((await run([{ text }, { text: "end" }], { stop: [`${"a".repeat(200_000)}b`] })).text).toBe(`${text}end`);
  });

  test("releases what could have been a stop string and was none", async () => {
    expect((await run(words, { stop: [" dx"] })).text).toBe("a b c d");
    expect((await run(words, { stop: [" dx"], maxTokens: 4 })).text).toBe("a b c d");
  });

  test("keeps its own usage and reason", async () => {
    const usage = { promptTokens: 9, completionTokens: 9 };
    const { last } = await run([{ text: "x", tokenIds: [1, 2], finishReason: "content_filter", usage }]);
    expect(last).toEqual({ text: "x", tokenIds: [1, 2], finishReason: "content_filter", usage });
  });

  test("loses a delta that would pass max_tokens", async () => {
    const { text, last } = await run(
      [
        { text: "ab", tokenIds: [1, 2] },
        { text: "cd", tokenIds: [3, 4] },
      ],
      { maxTokens: 3 },
    );
    expect(text).toBe("ab");
    expect(last).toMatchObject({ finishReason: "length", usage: { completionTokens: 2 } });
  });

  test("is not asked again once it is over", async () => {
    let asked = 0;
    async function* endless(): AsyncGenerator<Delta> {
      for (;;) {
        asked += 1;
        yield { text: "x" };
      }
    }
    const request: ModelRequest = { model: "m", messages: [], stop: [], sampling: {}, maxTokens: 3 };
    for await (const _ of enforceLimits(request, endless, newState(), () => undefined));
    expect(asked).toBe(3);
  });

  test("is not started at all if nothing may come", async () => {
    const request: ModelRequest = { model: "m", messages: [], stop: [], sampling: {}, maxTokens: 0 };
    const start = (): never => assert.fail("started");
    for await (const delta of enforceLimits(request, start, newState(), () => undefined))
      expect(delta.finishReason).toBe("length");
  });
});

describe("an engine that cuts where it likes", () => {
  const texts = fc
    .array(fc.constantFrom("a", " b", "é", "😀", "👩‍👩‍👧", "𝒳", "\ufffd"), { minLength: 1, maxLength: 12 })
    .map((parts) => parts.join(""));
  const toDeltas = (pieces: readonly string[]): Delta[] => pieces.map((text, index) => ({ text, tokenIds: [index] }));

  test("loses no character and no token, and no delta ends within a character", async () => {
    await fc.assert(
      fc.asyncProperty(texts, fc.array(fc.nat(40)), async (text, cuts) => {
        const deltas = toDeltas(cutAt(text, cuts));
        const { all, last, text: arrived } = await run(deltas);
        expect(arrived).toBe(text);
        expect(all.filter((delta) => !delta.text.isWellFormed())).toEqual([]);
        expect(all.flatMap(({ tokenIds = [] }) => tokenIds)).toEqual(deltas.map((_, index) => index));
        expect(last?.usage?.completionTokens).toBe(deltas.length);
      }),
    );
  });

  test("is stopped by a stop string, wherever its characters are cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        texts,
        fc.array(fc.nat(40)),
        fc.constantFrom("😀", "😀a", "👧", "𝒳"),
        async (text, cuts, stop) => {
          const at = text.indexOf(stop);
          const { text: arrived, last } = await run(toDeltas(cutAt(text, cuts)), { stop: [stop] });
          expect(arrived).toBe(at < 0 ? text : text.slice(0, at));
          expect(last?.stopText).toBe(at < 0 ? undefined : stop);
        },
      ),
    );
  });

  // What a client has is always whole: another worker goes on after it.
  test("keeps the tokens of a character together at max_tokens", async () => {
    const { text, last } = await run(toDeltas(["a", "\ud83d", "\ude00", "b"]), { maxTokens: 2 });
    expect(text).toBe("a");
    expect(last).toMatchObject({ finishReason: "length", usage: { completionTokens: 1 } });
  });

  test("may give no text in the middle of a character", async () => {
    const { all } = await run(toDeltas(["\ud83d", "", "\ude00"]));
    expect(all[0]).toMatchObject({ text: "😀", tokenIds: [0, 1, 2] });
  });

  test.each<[string, (string | Delta)[], string, number]>([
    ["at the end", ["a\ud83d"], "a\ufffd", 1],
    ["at the end it names", ["a", { text: "\ud83d", finishReason: "length" }], "a\ufffd", 1],
    ["before other text", ["\ud83d", "\ud83d", "b"], "\ufffd\ufffdb", 2],
    ["at the beginning", ["\ude00a"], "\ufffda", 1],
    ["inside a delta", ["a\ud83db"], "a\ufffdb", 1],
  ])("is told of a half %s that has no other half", async (_name, given, text, times) => {
    let told = 0;
    const deltas = given.map((each) => (typeof each === "string" ? { text: each } : each));
    const { text: arrived } = await run(deltas, {}, () => (told += 1));
    expect({ arrived, told }).toEqual({ arrived: text, told: times });
  });
});

describe("an engine in plain JavaScript", () => {
  test.each<[string, unknown, string]>([
    [
      "a delta without text",
      { tokenIds: [1] },
      'text of a delta must be a string, "" where there is none, the engine yielded undefined',
    ],
    [
      "text that is a number",
      { text: 5 },
      'text of a delta must be a string, "" where there is none, the engine yielded 5',
    ],
    ["a bare string", "hello", 'the engine yielded "hello", expected an object with text'],
    ["nothing", undefined, "the engine yielded undefined, expected an object with text"],
    [
      "a reason of its own",
      { text: "", finishReason: "eos" },
      'finishReason of a delta must be stop, length, content_filter, tool_calls, the engine yielded "eos"',
    ],
    ...[[-1], [2 ** 32], [1.5], [Number.NaN], ["7"], [5n], [null], Array(1)].map(
      (tokenIds): [string, unknown, string] => [
        `the token ids [${String(tokenIds)}]`,
        { text: "a", tokenIds },
        "tokenIds of a delta must be a list of whole numbers from 0 to 4294967295, the engine yielded a list",
      ],
    ),
    [
      "another choice",
      { text: "a", choice: 1 },
      "choice of a delta is the runtime's to say, the engine must leave it out",
    ],
    [
      "a usage of its own",
      { text: "", usage: { tokens: 5 } },
      "usage of a delta must be an object with promptTokens, completionTokens, cachedTokens or reasoningTokens, whole numbers from 0",
    ],
  ])("is told about %s", async (_name, delta, message) => {
    await expect(run([delta as Delta])).rejects.toMatchObject({
      code: "internal",
      message: expect.stringContaining(message),
    });
  });
});

test("a piece of a call passes, whatever ids its delta has", async () => {
  const piece = { index: 0, name: "look", id: "c", kind: "function", arguments: "{}" } as const;
  const { all } = await run([{ text: "", tokenIds: [], toolCalls: [piece] }]);
  expect(all.flatMap(({ toolCalls = [] }) => toolCalls)).toEqual([piece]);
  expect(all.at(-1)?.finishReason).toBe("tool_calls");
});
