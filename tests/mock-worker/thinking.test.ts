// What the mock thinks: how much of it, for whom, and from where on after another worker.
import Anthropic from "@anthropic-ai/sdk";
import { createFrontend } from "@dyn/frontend";
import { parseFaults, startMockWorker } from "@dyn/mock-worker";
import { createMemorySpace, createRuntime } from "@dyn/runtime";
import OpenAI from "openai";
import { expect, test } from "vitest";
import { play } from "../../packages/mock-worker/src/answers/play.ts";
import { toPlan } from "../../packages/mock-worker/src/answers/rules.ts";
import type { Delta, ModelRequest } from "../../packages/runtime/src/llm/contract.ts";

function answer(said: string, usual: number, more: Partial<ModelRequest> = {}, done = 0): readonly Delta[] {
  const request: ModelRequest = {
    model: "mock",
    messages: [
      { role: "user", text: "/think 9" },
      { role: "user", text: said },
    ],
    stop: [],
    sampling: {},
    ...more,
  };
  return [...play(toPlan(request, { reasoningTokens: usual }), { seed: 0, done })].filter(
    (step) => step.type === undefined,
  );
}

const thoughts = (deltas: readonly Delta[]): (string | undefined)[] =>
  deltas.map(({ reasoning }) => reasoning).filter((each) => each !== undefined);

test.each<[string, number, Partial<ModelRequest>, number]>([
  ["hello", 0, {}, 0],
  ["hello", 3, {}, 3],
  ["hello /think", 0, {}, 8],
  ["hello /think", 3, {}, 8],
  ["hello\n/think 20", 0, {}, 20],
  ["hello /think 0", 3, {}, 0],
  ["hello /thinking", 0, {}, 0],
  ["a/think", 0, {}, 0],
  ["hello /think 20", 0, { reasoning: { budgetTokens: 5 } }, 5],
  ["hello /think 20", 3, { reasoning: { isEnabled: false } }, 0],
  ["hello", 0, { reasoning: { isEnabled: true, effort: "high" } }, 0],
  ["hello /think", 3, { prompt: { text: "hello /think" } }, 0],
])("%j, %d as a rule, with %j: %d tokens", (said, usual, more, count) => {
  const deltas = answer(said, usual, more);
  expect(thoughts(deltas)).toHaveLength(count);
  expect(deltas.map(({ text }) => text).join("")).toBe(said);
});

test("it is the same each time, before the answer, and goes on where another worker has ended", () => {
  const all = answer("hello /think 10", 0);
  expect(thoughts(all).join("")).toBe("Let me think about this, step by step. Let me");
  expect(all.findIndex(({ text }) => text !== "")).toBe(10);
  expect(all.every(({ tokenIds }) => tokenIds?.length === 1)).toBe(true);
  expect(answer("hello /think 10", 0, {}, 4)).toEqual(all.slice(4));
  expect(answer("hello /think 10", 0, {}, 11)).toEqual(all.slice(11));
});

test("it thinks before a call, too", () => {
  const tools = [{ name: "weather", kind: "function" }] as const;
  const deltas = answer("the weather /think 2", 0, { tools });
  expect(thoughts(deltas)).toHaveLength(2);
  expect(deltas[2]?.toolCalls).toMatchObject([{ name: "weather" }]);
});

test("clients of both APIs see it, whole also if its worker is lost while it thinks", async () => {
  const memorySpace = createMemorySpace();
  const config = { discoveryBackend: "mem", log: "off" } as const;
  await using lossy = await startMockWorker({ config, memorySpace, fault: parseFaults("cut@3") });
  await using sound = await startMockWorker({ config, memorySpace });
  await using runtime = await createRuntime({ config, memorySpace });
  await using frontend = await createFrontend({ runtime, httpPort: 0 });
  expect([lossy, sound].map(({ servings }) => servings.length)).toEqual([1, 1]);
  const openai = new OpenAI({ baseURL: `${frontend.url}/v1`, apiKey: "unused", maxRetries: 0 });
  const anthropic = new Anthropic({ baseURL: frontend.url, apiKey: "unused", maxRetries: 0 });
  const messages = [{ role: "user" as const, content: "/think 5 hello" }];
  for (let turn = 0; turn < 2; turn += 1) {
    // Round-robin: each worker is asked first by one of two.
    const { choices, usage } = await openai.chat.completions.create({ model: "mock", messages });
    expect(choices[0]?.message).toMatchObject({
      reasoning_content: "Let me think about this,",
      content: "/think 5 hello",
    });
    expect(usage).toMatchObject({ completion_tokens: 8, completion_tokens_details: { reasoning_tokens: 5 } });
  }
  for (let turn = 0; turn < 2; turn += 1) {
    const message = await anthropic.messages.stream({ model: "mock", max_tokens: 99, messages }).finalMessage();
    expect(message).toMatchObject({
      content: [
        { type: "thinking", thinking: "Let me think about this," },
        { type: "text", text: "/think 5 hello" },
      ],
      usage: { output_tokens: 8, output_tokens_details: { thinking_tokens: 5 } },
    });
  }
});
