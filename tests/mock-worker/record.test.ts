// What another model says is written down with its times, and said again: to the same request, by whoever reads the file.
import OpenAI from "openai";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFrontend } from "@dyn/frontend";
import { startMockWorker, type MockWorker, type Script } from "@dyn/mock-worker";
import { createMemorySpace, createRuntime, RuntimeError } from "@dyn/runtime";
import type { Delta, Engine, ModelRequest } from "@dyn/runtime/llm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { play } from "../../packages/mock-worker/src/answers/play.ts";
import { Said } from "../../packages/mock-worker/src/record/said.ts";
import { compileAnswer } from "../../packages/mock-worker/src/script/answer.ts";
import { toRequestHash } from "../../packages/mock-worker/src/script/request-hash.ts";

const config = { discoveryBackend: "mem", log: "off" } as const;
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "dyn-record-"));
});
afterAll(() => rm(directory, { recursive: true }));

const request: ModelRequest = { model: "m", messages: [{ role: "user", text: "hi" }], stop: [], sampling: {} };

describe("an answer", () => {
  const deltas: readonly Delta[] = [
    { text: "", reasoning: "hm" },
    { text: "Let" },
    { text: " me 🐦 see" },
    { text: "", toolCalls: [{ index: 0, name: "look", id: "call_1" }] },
    { text: "", toolCalls: [{ index: 0, arguments: '{"at"' }] },
    { text: "", toolCalls: [{ index: 0, arguments: ":1}" }] },
    { text: "", toolCalls: [{ index: 1, name: "patch", kind: "custom", arguments: "x" }] },
    {
      text: "",
      finishReason: "tool_calls",
      usage: { promptTokens: 9, completionTokens: 8, cachedTokens: 4, reasoningTokens: 1 },
    },
  ];

  test("is said again in the same pieces at the same times", () => {
    const said = new Said();
    for (const [index, delta] of deltas.entries()) said.add(delta, 10 * (index + 1));
    const plan = compileAnswer(said.toFixture(request));
    const steps = [...play(plan ?? { blocks: [] }, { seed: 0, done: 0 })];
    const waits = steps.flatMap((step) => (step.type === "pace" ? [step.ms] : []));
    expect(waits).toEqual([10, 20, 30, 40, 50, 60, 70, 0]);
    const again = steps.filter((step) => step.type === undefined);
    expect(again).toMatchObject([
      { text: "", reasoning: "hm" },
      { text: "Let" },
      { text: " me 🐦 see" },
      { text: "", toolCalls: [{ index: 0, name: "look", kind: "function", id: "call_1", arguments: "" }] },
      deltas[4],
      deltas[5],
      { text: "", toolCalls: [{ index: 1, name: "patch", kind: "custom", arguments: "" }] },
      { text: "", toolCalls: [{ index: 1, arguments: "x" }] },
      deltas[7],
    ]);
  });

  test("belongs to all that was asked, whatever ids its calls have", () => {
    const turn = (id: string, city = "Paris"): ModelRequest => ({
      ...request,
      messages: [
        {
          role: "assistant",
          text: "",
          toolCalls: [{ id, name: "look", kind: "function", arguments: `{"at":"${city}"}` }],
        },
        { role: "tool", text: "sunny", toolCallId: id },
      ],
    });
    expect(toRequestHash(turn("a"))).toBe(toRequestHash(turn("b")));
    expect(toRequestHash(turn("a"))).toBe(toRequestHash({ ...turn("a"), generated: { text: "x", tokens: 1 } }));
    expect(toRequestHash(turn("a", "Rome"))).not.toBe(toRequestHash(turn("a")));
    expect(toRequestHash({ ...request, maxTokens: 5 })).not.toBe(toRequestHash(request));
    expect(toRequestHash({ sampling: {}, stop: [], messages: [{ text: "hi", role: "user" }], model: "m" })).toBe(
      toRequestHash(request),
    );
  });
});

interface House extends AsyncDisposable {
  readonly worker: MockWorker;
  ask(content: string): Promise<string | null>;
}

/** A mock worker with a file, that asks `upstream`, and a client of it. */
async function startHouse(path: string, upstream?: Engine): Promise<House> {
  const memorySpace = createMemorySpace();
  const worker = await startMockWorker({ config, memorySpace, script: path, ...(upstream && { upstream }) });
  const runtime = await createRuntime({ config, memorySpace });
  const frontend = await createFrontend({ runtime, httpPort: 0 });
  const client = new OpenAI({ baseURL: `${frontend.url}/v1`, apiKey: "unused", maxRetries: 0 });
  return {
    worker,
    async ask(content) {
      const { choices } = await client.chat.completions.create({
        model: "mock",
        messages: [{ role: "user", content }],
      });
      return choices[0]?.message.content ?? null;
    },
    async [Symbol.asyncDispose]() {
      await frontend.close();
      await runtime.close();
      await worker.close();
    },
  };
}

/** A model whose answers are numbered. */
function createUpstream(): { readonly asked: string[]; readonly engine: Engine } {
  const asked: string[] = [];
  return {
    asked,
    engine: async function* ({ messages }) {
      const said = messages.at(-1)?.text ?? "";
      asked.push(said);
      if (said === "fail") throw new RuntimeError("rate_limited", "not now");
      yield { text: `answer ${asked.length}` };
      if (said === "break") throw new RuntimeError("internal", "broken");
      yield { text: ` to ${said}`, finishReason: "stop", usage: { promptTokens: 3 } };
    },
  };
}

describe.each(["script.json", "script.yaml"])("a worker that records to %s", (name) => {
  test("asks for what it has not heard yet, and its file alone is enough later", async () => {
    const path = join(directory, name);
    const { asked, engine } = createUpstream();
    {
      await using house = await startHouse(path, engine);
      expect([await house.ask("one"), await house.ask("two"), await house.ask("one")]).toEqual([
        "answer 1 to one",
        "answer 2 to two",
        "answer 1 to one",
      ]);
      expect(house.worker.requests().map(({ answer: { text, tokens } }) => [text, tokens])).toEqual([
        ["answer 1 to one", 2],
        ["answer 2 to two", 2],
        ["answer 1 to one", 2],
      ]);
      house.worker.play([{ match: { userMessage: "three" }, response: { content: "as a rule says" } }]);
      expect(await house.ask("three")).toBe("as a rule says");
    }
    expect(asked).toEqual(["one", "two"]);
    await using later = await startHouse(path);
    expect([await later.ask("two"), await later.ask("one"), await later.ask("other")]).toEqual([
      "answer 2 to two",
      "answer 1 to one",
      "other",
    ]);
    expect((await readdir(directory)).filter((each) => each.endsWith(".part"))).toEqual([]);
  });
});

test("errors, and answers that were cut short, are not written down", async () => {
  const path = join(directory, "errors.json");
  const { asked, engine } = createUpstream();
  await using house = await startHouse(path, engine);
  await expect(house.ask("fail")).rejects.toBeInstanceOf(OpenAI.RateLimitError);
  await expect(house.ask("break")).rejects.toThrow("Internal server error");
  await house.ask("well");
  expect(asked).toEqual(["fail", "break", "well"]);
  await house.worker.close();
  const { fixtures } = JSON.parse(await readFile(path, "utf8")) as Script;
  expect(fixtures).toMatchObject([
    {
      match: {
        model: "mock",
        userMessage: "well",
        turnIndex: 0,
        requestHash: expect.stringMatching(/^sha256-/) as string,
      },
      response: {
        blocks: [{ type: "text", text: "answer 3 to well", chunks: [8, 8] }],
        usage: { prompt_tokens: 3 },
        finishReason: "stop",
      },
    },
  ]);
});

test("rules that are in the file already stay in it, and come first", async () => {
  const path = join(directory, "grows.json");
  {
    await using house = await startHouse(path, createUpstream().engine);
    await house.ask("one");
  }
  const { asked, engine } = createUpstream();
  await using house = await startHouse(path, engine);
  expect([await house.ask("one"), await house.ask("two")]).toEqual(["answer 1 to one", "answer 1 to two"]);
  expect(asked).toEqual(["two"]);
  await house.worker.close();
  expect((JSON.parse(await readFile(path, "utf8")) as Script).fixtures).toHaveLength(2);
});

test("a worker that is to record needs a file", async () => {
  await expect(startMockWorker({ config, upstream: createUpstream().engine })).rejects.toThrow(
    "script must name the file that is recorded to, got none",
  );
});
