// Results of prefill workers are held beside the prompt until the answer is over: not more than of an answer, and not more than there is memory for.
import { expect, test } from "vitest";
import type { Exchange } from "../../packages/runtime/src/http/exchange.ts";
import type { AskParts } from "../../packages/frontend/src/inference/ask-options.ts";
import { generate } from "../../packages/frontend/src/inference/generate.ts";
import type { Delta, ModelJob } from "../../packages/runtime/src/llm/contract.ts";
import { createMemoryBudget, type MemoryBudget } from "../../packages/runtime/src/memory-budget.ts";
import { createRuntimeMetrics } from "../../packages/runtime/src/metrics/runtime-metrics.ts";

const prompts = Array.from({ length: 20 }, (_, index) => ({ text: String(index) }));
const job: ModelJob = { model: "m", messages: [], stop: [], sampling: {}, prompts };

/** An answer of one batch per delta. */
function toAnswer(deltas: readonly Delta[]): unknown {
  return {
    reports: [],
    attempts: 1,
    retries: 0,
    resumptions: 0,
    trailer: {},
    *batches(): Generator<Delta[]> {
      for (const delta of deltas) yield [delta];
    },
  };
}

function run(budget: MemoryBudget, maxAnswerBytes: number, exchange = toExchange(budget)): Promise<unknown> {
  const results = prompts.map((_, choice): Delta => ({
    text: "",
    choice,
    prefillResult: { blocks: "x".repeat(10_000) },
  }));
  const usage = { promptTokens: 1, completionTokens: 1 };
  const ends = prompts.map((_, choice): Delta => ({ text: "a", choice, finishReason: "stop", usage }));
  const clients = {
    client: { generate: () => toAnswer(ends) },
    prefill: { generate: () => toAnswer(results) },
    migrationLimit: 0,
  };
  const parts = {
    exchange,
    models: { clientsOf: () => clients },
    forwardHeaders: [],
    requestLog: { record: {}, received: () => undefined },
    deadlines: { heard: () => undefined, endsAt: undefined },
    maxAnswerBytes,
    now: () => 0,
  } as unknown as AskParts; // all that is used of them
  return generate({ job }, parts, { keepsTexts: true });
}

function toExchange(budget: MemoryBudget): Exchange {
  return {
    memory: budget.open(),
    request: { headers: {} },
    signal: new AbortController().signal,
  } as unknown as Exchange; // all that is used of one
}

function openBudget(): MemoryBudget {
  return createMemoryBudget(1 * 1024 * 1024, createRuntimeMetrics().memory);
}

test("a request that names no instance is refused before there are any", async () => {
  const budget = openBudget();
  const request = { headers: { "x-worker-instance-id": "none" } };
  const exchange = { ...toExchange(budget), request } as unknown as Exchange;
  await expect(run(budget, 1_000_000, exchange)).rejects.toMatchObject({ code: "invalid_argument" });
  expect(budget.usedBytes).toBeLessThan(200_000);
});

test("all of them together have the limit of an answer", async () => {
  await expect(run(openBudget(), 200_000)).rejects.toThrow(
    "the prefill results are larger than 200000 bytes, the limit set by DYN_HTTP_ANSWER_LIMIT_MB",
  );
  await expect(run(openBudget(), 201_000)).resolves.toMatchObject({ choices: { length: 20 } });
});

test("they are taken three times from the memory for requests", async () => {
  const budget = openBudget();
  const exchange = toExchange(budget);
  await run(budget, 1_000_000, exchange);
  expect(budget.usedBytes).toBeGreaterThan(3 * 200_000);
  exchange.memory[Symbol.dispose]();
  expect(budget.usedBytes).toBe(0);
  using others = budget.open();
  for (let left = 4; left > 0; left -= 1) others.take(200_000);
  await expect(run(budget, 1_000_000)).rejects.toMatchObject({ code: "overloaded" });
});
