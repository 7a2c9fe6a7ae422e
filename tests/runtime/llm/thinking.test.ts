// Thinking of an engine on its way out of the worker: beside the text, counted, within max_tokens, its characters whole.
import { describe, expect, test } from "vitest";
import type { Delta, ModelRequest } from "../../../packages/runtime/src/llm/contract.ts";
import { createCompletionState, enforceLimits } from "../../../packages/runtime/src/llm/limits.ts";
import { TokenClock } from "../../../packages/runtime/src/trace/token-clock.ts";

async function* emit(deltas: readonly Delta[]): AsyncGenerator<Delta> {
  yield* deltas;
}

async function run(
  deltas: readonly Delta[],
  more: Partial<ModelRequest> = {},
  onLone: () => void = () => expect.fail("half of a character was lost"),
): Promise<{ text: string; last: Delta | undefined; all: Delta[] }> {
  const asked = { model: "m", messages: [{ role: "user", text: "two words" }], stop: [], sampling: {} } as const;
  const state = createCompletionState(() => 2, new TokenClock(0, () => 0));
  const all: Delta[] = [];
  for await (const delta of enforceLimits({ ...asked, ...more }, () => emit(deltas), state, onLone)) all.push(delta);
  return { text: all.map(({ text }) => text).join(""), last: all.at(-1), all };
}

describe("thinking", () => {
  const think = (reasoning: string, more: Partial<Delta> = {}): Delta => ({ text: "", reasoning, ...more });
  const thoughtOf = (all: readonly Delta[]): string => all.map(({ reasoning = "" }) => reasoning).join("");

  test("is no part of the text: no stop string is found in it, and that before one is kept", async () => {
    const deltas = [think("a X b"), { text: "say ", reasoning: " X" }, { text: "it X not", reasoning: " too" }];
    const { text, last, all } = await run(deltas, { stop: ["X"] });
    expect([text, thoughtOf(all)]).toEqual(["say it ", "a X b X too"]);
    expect(last).toMatchObject({ finishReason: "stop", stopText: "X", usage: { completionTokens: 3 } });
  });

  test("after the beginning of a stop string waits for it: what follows that one is not said", async () => {
    const deltas = [{ text: "a S" }, think("hidden"), { text: "TOP" }];
    const { text, all } = await run(deltas, { stop: ["STOP"] });
    expect([text, thoughtOf(all)]).toEqual(["a ", ""]);
    const other = await run([{ text: "a S" }, think("shown"), { text: "O" }], { stop: ["STOP"] });
    expect([other.text, thoughtOf(other.all)]).toEqual(["a SO", "shown"]);
  });

  test("counts as tokens, and as tokens of thinking where there is nothing else", async () => {
    const deltas = [
      think("a", { tokenIds: [1, 2] }),
      think("b"),
      { text: "c", reasoning: "d" },
      think(""),
      { text: "e" },
    ];
    const { last } = await run(deltas);
    expect(last?.usage).toEqual({ promptTokens: 2, completionTokens: 5, reasoningTokens: 3 });
    expect((await run([{ text: "e" }])).last?.usage).toEqual({ promptTokens: 2, completionTokens: 1 });
  });

  test("counts on from what the engine says, and from what another worker has thought", async () => {
    const said = think("a", { usage: { reasoningTokens: 20 } });
    expect((await run([said, think("b"), { text: "c" }])).last?.usage).toMatchObject({ reasoningTokens: 21 });
    const generated = { text: "", reasoning: "a", tokens: 5, reasoningTokens: 5 };
    const { last } = await run([think("b"), { text: "c" }], { generated, maxTokens: 7 });
    expect(last).toMatchObject({ finishReason: "length", usage: { completionTokens: 7, reasoningTokens: 6 } });
  });

  test("that ends within a character is joined, and a half of one alone is lost", async () => {
    const { all } = await run([think("a\ud83d"), think("\ude00b"), { text: "c" }]);
    expect(thoughtOf(all)).toBe("a😀b");
    let lost = 0;
    const halves = [think("a\ud83d"), { text: "\ude00b", reasoning: "c" }, think("d\ud83d"), { text: "e" }];
    const { text, all: others } = await run(halves, {}, () => (lost += 1));
    expect([text, thoughtOf(others), lost]).toEqual(["\ufffdbe", "a\ufffdcd\ufffd", 3]);
  });
});
