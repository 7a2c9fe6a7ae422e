// What a mock worker was asked and has answered, for the assertions of tests.
import OpenAI from "openai";
import { createFrontend } from "@dyn/frontend";
import { startMockWorker, type MockWorker, type SeenRequest } from "@dyn/mock-worker";
import { createMemorySpace, createRuntime, type Runtime } from "@dyn/runtime";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createSeenRequests, type SeenRequests } from "../../packages/mock-worker/src/seen/seen.ts";
import type { RequestContext } from "../../packages/runtime/src/handler.ts";
import { eventually } from "../support/cluster.ts";

const config = { discoveryBackend: "mem", log: "off" } as const;
let runtime: Runtime;
let worker: MockWorker;
let openai: OpenAI;
let close: () => Promise<void>;

beforeAll(async () => {
  const memorySpace = createMemorySpace();
  worker = await startMockWorker({ config, memorySpace, numWorkers: 2, keepRequests: 5 });
  runtime = await createRuntime({ config, memorySpace });
  const frontend = await createFrontend({ runtime, httpPort: 0, forwardHeaders: ["x-case"] });
  close = () => frontend.close();
  openai = new OpenAI({ baseURL: `${frontend.url}/v1`, apiKey: "unused", maxRetries: 0 });
});
afterAll(async () => {
  await close();
  await runtime.close();
  await worker.close();
});
beforeEach(() => {
  worker.inject([]);
  worker.play([]);
  worker.forgetRequests();
});

const messages = [{ role: "user" as const, content: "one two three" }];
const body = { model: "mock", messages };

/** The requests, once they have ended. */
function ended(count: number): Promise<readonly SeenRequest[]> {
  return eventually(`${count} requests`, () => {
    const seen = worker.requests();
    return seen.length === count && seen.every(({ outcome }) => outcome !== "running") && seen;
  });
}

describe("a request is kept", () => {
  test("as the engine saw it, with its ids, its headers, the rule and the answer", async () => {
    const tool = { type: "function", function: { name: "look", parameters: { type: "object" } } } as const;
    worker.play([
      { match: { userMessage: "nothing" }, response: { content: "" } },
      { response: { content: "see", toolCalls: [{ name: "look", arguments: { at: "home" } }] } },
    ]);
    const ask = { ...body, tools: [tool], temperature: 0.5, seed: 7, max_tokens: 50 };
    await openai.chat.completions.create(ask, { headers: { "x-case": "a", "x-request-id": "mine" } });
    const [seen] = await ended(1);
    expect(seen).toMatchObject({
      at: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      xRequestId: "mine",
      attempt: 0,
      headers: { "x-case": "a" },
      request: {
        model: "mock",
        messages: [{ role: "user", text: "one two three" }],
        tools: [{ name: "look" }],
        sampling: { temperature: 0.5, seed: 7 },
        maxTokens: 50,
      },
      rule: 1,
      answer: { text: "see", toolCalls: [{ name: "look", kind: "function", arguments: '{"at":"home"}' }], tokens: 4 },
      outcome: "completed",
    });
    expect(seen?.durationMs).toBeGreaterThanOrEqual(0);
  });

  test("with what has been given of an answer of which no more was wanted", async () => {
    await openai.chat.completions.create({ ...body, max_tokens: 2 });
    const [seen] = await ended(1);
    expect(seen).toMatchObject({ answer: { text: "one two", tokens: 2 }, outcome: "stopped" });
    expect(seen).not.toHaveProperty("rule");
  });

  test("with all of an answer that was to be longer", async () => {
    const ask = { ...body, max_tokens: 5, ignore_eos: true };
    await openai.chat.completions.create(ask);
    const [seen] = await ended(1);
    expect(seen?.answer.tokens).toBe(5);
    expect(seen?.answer.text.trim().split(/\s+/)).toHaveLength(5);
  });

  test("with its error, and once for each worker that has tried", async () => {
    worker.inject([{ type: "error", code: "unavailable", afterTokens: 1, rate: 1 }]);
    const stream = openai.chat.completions.stream(body);
    stream.on("content", () => worker.inject([]));
    expect(await stream.finalContent()).toBe("one two three");
    const [first, second] = await ended(2);
    expect(first).toMatchObject({
      attempt: 0,
      outcome: "failed",
      error: "fault injected: unavailable",
      answer: { text: "one" },
    });
    expect(second).toMatchObject({
      attempt: 1,
      outcome: "completed",
      request: { generated: { tokens: 1 } },
      answer: { text: " two three" },
    });
    expect(second?.requestId).toBe(first?.requestId);
  });

  test("while it runs, and when its client has left", async () => {
    worker.inject([{ type: "hang", afterTokens: 1, rate: 1 }]);
    const client = new AbortController();
    const left = openai.chat.completions.create(body, { signal: client.signal }).catch(() => "left");
    const running = await eventually("a token", () => worker.requests().find(({ answer }) => answer.tokens === 1));
    expect(running).toMatchObject({ outcome: "running", answer: { text: "one" } });
    expect(running).not.toHaveProperty("durationMs");
    client.abort();
    expect(await left).toBe("left");
    expect(await ended(1)).toMatchObject([{ outcome: "cancelled" }]);
  });

  test("until as many others have come, or they are forgotten", async () => {
    for (const content of ["1", "2", "3", "4", "5", "6", "7"])
      await openai.chat.completions.create({ ...body, messages: [{ role: "user", content }] });
    const seen = await ended(5);
    expect(seen.map(({ answer }) => answer.text)).toEqual(["3", "4", "5", "6", "7"]);
    worker.forgetRequests();
    expect(worker.requests()).toEqual([]);
  });
});

test("large requests push out others, however many may be kept", () => {
  const seen: SeenRequests = createSeenRequests({ max: 1_000, now: () => 0 });
  const context = { requestId: "r", trace: { traceId: "t" }, attempt: 0, headers: {} } as unknown as RequestContext;
  const text = "x".repeat(8 * 1024 * 1024); // 16 MiB
  const request = { model: "m", messages: [{ role: "user", text }], stop: [], sampling: {} } as const;
  for (let count = 0; count < 10; count += 1)
    seen.begin(request, context, { rule: undefined, isRecorded: false, toPlan: () => ({ blocks: [] }) });
  expect(seen.list()).toHaveLength(3);
});
