// A plan of an answer, played: from its beginning, and from where another worker has ended.
import { describe, expect, test } from "vitest";
import type { Block, Plan } from "../../packages/mock-worker/src/answers/plan.ts";
import { play, type Step } from "../../packages/mock-worker/src/answers/play.ts";

const cut: Block = { type: "fault", fault: { type: "cut", afterTokens: 0, rate: 1 } };
const plan: Plan = {
  blocks: [
    { type: "delay", ms: 5 },
    { type: "text", tokens: ["Let", " me", " see"], waitsMs: [100, 20] },
    cut,
    { type: "call", name: "look", kind: "function", id: "call_1", tokens: ['{"a"', ":1}"] },
    { type: "call", name: "patch", kind: "custom", tokens: ["x"], waitsMs: [7] },
  ],
  usage: { promptTokens: 9 },
  finishReason: "tool_calls",
};

/** A step in one word. */
function tell({ type, ...step }: Step): string {
  if (type === "fault") return "fault";
  if ("ms" in step) return `${type} ${step.ms}`;
  if (!("text" in step)) return "?";
  const { toolCalls, finishReason } = step;
  if (finishReason) return `end ${finishReason} ${JSON.stringify(step.usage)}`;
  const [piece] = toolCalls ?? [];
  return piece ? `${piece.index} ${piece.name ?? piece.arguments}` : step.text;
}

const text = ["delay 5", "pace 100", "Let", "pace 20", " me", " see", "fault"];
const calls = ["0 look", '0 {"a"', "0 :1}", "pace 7", "1 patch", "1 x"];
const all = [...text, ...calls, 'end tool_calls {"promptTokens":9}'];

describe("a plan is played", () => {
  test("in its order, a delta for each token, with the time of those that have one", () => {
    expect([...play(plan, { seed: 0, done: 0 })].map(tell)).toEqual(all);
  });

  test("from the token on that another worker has not made: what goes wrong just there goes wrong again", () => {
    const from = (done: number): string[] => [...play(plan, { seed: 0, done })].map(tell);
    expect(from(1)).toEqual(all.slice(3));
    expect(from(3)).toEqual(all.slice(6));
    expect(from(4)).toEqual(all.slice(8));
    expect(from(8)).toEqual(all.slice(-1));
  });

  test("with the ids of its tokens, which follow from the seed", () => {
    const ids = (seed: number, done: number): unknown[] =>
      [...play(plan, { seed, done })].flatMap((step) => ("tokenIds" in step ? step.tokenIds : []));
    expect(ids(1, 0)).toHaveLength(8);
    expect(ids(1, 2)).toEqual(ids(1, 0).slice(2));
    expect(ids(2, 0)).not.toEqual(ids(1, 0));
  });

  test("with the kind and the id of a call in its first piece only", () => {
    const pieces = [...play(plan, { seed: 0, done: 3 })].flatMap((step) => ("toolCalls" in step ? step.toolCalls : []));
    expect(pieces.slice(0, 2)).toEqual([
      { index: 0, name: "look", kind: "function", id: "call_1", arguments: "" },
      { index: 0, arguments: '{"a"' },
    ]);
  });
});
