// What load generators ask for: completions of a given length, and counts in every event.
import { createFrontend } from "@dyn/frontend";
import { parseFaults, startMockWorker, type MockWorker } from "@dyn/mock-worker";
import { createMemorySpace, createRuntime, type Runtime } from "@dyn/runtime";
import { serveModel, type ModelRequest } from "@dyn/runtime/llm";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const config = { discoveryBackend: "mem", log: "off" } as const;
const messages = [{ role: "user" as const, content: "hello big world" }];
let runtimes: Runtime[];
let mock: MockWorker;
let client: OpenAI;
let close: () => Promise<void>;
let seen: ModelRequest;

beforeAll(async () => {
  const memorySpace = createMemorySpace();
  runtimes = await Promise.all([0, 1].map(() => createRuntime({ config, memorySpace })));
  const [worker, runtime] = runtimes as [Runtime, Runtime];
  await serveModel(worker, { model: "engine" }, async function* engine(request) {
    seen = request;
    yield { text: "", usage: { promptTokens: 40, cachedTokens: 30 } };
    for (const text of ["one", " two", " three"]) yield { text, tokenIds: [1, 2] };
  });
  mock = await startMockWorker({ config, memorySpace, component: "mock", numWorkers: 3 });
  const frontend = await createFrontend({ runtime, httpPort: 0 });
  client = new OpenAI({ baseURL: `${frontend.url}/v1`, apiKey: "unused", maxRetries: 0 });
  close = async () => {
    await frontend.close();
    await mock.close();
  };
});
afterAll(async () => {
  await close();
  await Promise.all(runtimes.map((runtime) => runtime.close()));
});

type Extra = Record<string, unknown>;

async function chat(
  more: Extra,
): Promise<[text: string | null | undefined, reason: string | undefined, tokens: number | undefined]> {
  const { choices, usage } = await client.chat.completions.create({ model: "mock", messages, ...more, stream: false });
  return [choices[0]?.message.content, choices[0]?.finish_reason, usage?.completion_tokens];
}

describe("the engine sees", () => {
  test.each([
    [
      { ignore_eos: true, max_tokens: 9 },
      { ignoreEos: true, maxTokens: 9 },
    ],
    [{ min_tokens: 4 }, { minTokens: 4 }],
    [
      { min_tokens: 9, max_tokens: 9 },
      { minTokens: 9, maxTokens: 9 },
    ],
    [{ ignore_eos: false, min_tokens: 0 }, {}],
    [{ ignore_eos: null, min_tokens: null }, {}],
  ])("%j", async (more, expected) => {
    await chat({ model: "engine", ...more });
    const { ignoreEos, minTokens, maxTokens } = seen;
    expect({ ignoreEos, minTokens, maxTokens }).toEqual({
      ignoreEos: undefined,
      minTokens: undefined,
      maxTokens: undefined,
      ...expected,
    });
    const { text } = {
      text: "x",
      ...(await client.completions.create({
        model: "engine",
        prompt: "x",
        max_tokens: 9,
        ...more,
      } as OpenAI.CompletionCreateParamsNonStreaming)),
    };
    expect([text, seen.ignoreEos, seen.minTokens]).toEqual(["x", ignoreEos, minTokens]);
  });

  test.each([
    [{ min_tokens: 9, max_tokens: 5 }, "min_tokens must be at most 5, the most tokens of a completion"],
    [{ min_tokens: -1 }, "min_tokens must be at least 0"],
    [{ min_tokens: 1.5 }, "min_tokens must be a whole number"],
    [{ ignore_eos: 1 }, "ignore_eos must be true or false"],
    [
      { stream_options: { continuous_usage_stats: 1 }, stream: true },
      "stream_options.continuous_usage_stats must be true or false",
    ],
  ])("and %j is refused", async (more, message) => {
    const asked = client.post("/chat/completions", { body: { model: "engine", messages, ...more } });
    await expect(asked).rejects.toMatchObject({ status: 400, error: { message } });
  });
});

describe("the mock's answer", () => {
  test.each([
    [{ ignore_eos: true, max_tokens: 7 }, "hello big world hello big world hello", "length", 7],
    [{ ignore_eos: true, max_tokens: 2 }, "hello big", "length", 2],
    [{ min_tokens: 5 }, "hello big world hello big", "stop", 5],
    [{ min_tokens: 2 }, "hello big world", "stop", 3],
    [{ min_tokens: 5, ignore_eos: true, max_tokens: 6 }, "hello big world hello big world", "length", 6],
    [{ ignore_eos: true }, "hello big world", "stop", 3],
    [{ ignore_eos: true, max_tokens: 7, stop: "d h" }, "hello big worl", "stop", 4],
  ])("to %j is %j", async (more, text, reason, tokens) => {
    expect(await chat(more)).toEqual([text, reason, tokens]);
  });

  test("goes on at another worker exactly where it was, again and again", async () => {
    mock.inject(parseFaults("error:unavailable@3"));
    const answer = await chat({ ignore_eos: true, max_tokens: 8 });
    mock.inject([]);
    expect(answer).toEqual(["hello big world hello big world hello big", "length", 8]);
  });

  test("has as many tokens of a plain completion, for each of its prompts", async () => {
    const ask = { model: "mock", prompt: ["a b", ""], max_tokens: 50, ignore_eos: true };
    const { choices, usage } = await client.completions.create(ask);
    expect(choices.map(({ finish_reason: reason }) => reason)).toEqual(["length", "length"]);
    expect(usage?.completion_tokens).toBe(100);
  });

  test("leaves JSON as it is", async () => {
    const response_format = { type: "json_object" };
    expect(await chat({ min_tokens: 40, response_format })).toEqual(['{"text":"hello big world"}', "stop", 4]);
  });
});

describe("continuous_usage_stats", () => {
  const stream_options = { include_usage: true, continuous_usage_stats: true };

  async function usagesOf(body: Extra): Promise<(OpenAI.CompletionUsage | null | undefined)[]> {
    const usages = [];
    const ask = { model: "engine", messages, prompt: "hello big world", stream: true, ...body };
    const stream =
      "chat" in body
        ? await client.chat.completions.create(ask as OpenAI.ChatCompletionCreateParamsStreaming)
        : await client.completions.create(ask as unknown as OpenAI.CompletionCreateParamsStreaming);
    for await (const chunk of stream) usages.push(chunk.usage);
    return usages;
  }

  test.each([{ chat: true }, {}])(
    "has the counts so far in every event of %j, and the whole in the last",
    async (kind) => {
      const usages = await usagesOf({ ...kind, stream_options });
      const counts = usages.map((usage) => usage?.completion_tokens ?? -1);
      expect(counts).toEqual(counts.toSorted((one, other) => one - other));
      expect(counts).toContain(2);
      expect(usages.slice(-2)).toMatchObject(
        [0, 1].map(() => ({
          prompt_tokens: 40,
          completion_tokens: 6,
          total_tokens: 46,
          prompt_tokens_details: { cached_tokens: 30 },
        })),
      );
    },
  );

  test("counts all choices together", async () => {
    const usages = await usagesOf({ chat: true, model: "mock", n: 2, stream_options });
    expect(usages[0]).toMatchObject({ prompt_tokens: 3, completion_tokens: 0 });
    expect(usages.slice(-2)).toMatchObject([0, 1].map(() => ({ prompt_tokens: 3, completion_tokens: 6 })));
  });

  test("is ignored without include_usage", async () => {
    const usages = await usagesOf({ chat: true, stream_options: { continuous_usage_stats: true } });
    expect(new Set(usages)).toEqual(new Set([undefined]));
  });
});
