// Hooks that count the tokens of a prompt, which are foreign code: what they are given, and what becomes of what they do.
import { describe, expect, test } from "vitest";
import {
  createMemorySpace,
  createRuntime,
  RuntimeError,
  type RequestContext,
  type Runtime,
} from "../../../packages/runtime/src/index.ts";
import { serveModel, type ModelRequest, type ServeModelOptions } from "../../../packages/runtime/src/llm.ts";
import type { ModelJob, TokenCount } from "../../../packages/runtime/src/internal.ts";
import { countPrompt, createUsageCount, type PromptHooks } from "../../../packages/runtime/src/llm/prompt-count.ts";
import { createLogger } from "../../support/logger.ts";
import { eventually, type Line } from "../../support/cluster.ts";
import { collect, config, failureOf, startPair } from "../peers.ts";

const base: ModelRequest = { model: "m", messages: [], stop: [], sampling: {} };
const conversation: ModelRequest = {
  ...base,
  messages: [
    { role: "system", text: "be kind" },
    { role: "user", text: "hello" },
  ],
};

interface Within<Result> {
  readonly result: Result;
  readonly lines: readonly Line[];
}

/** Run something in the handler of a request. */
async function inHandler<Result>(
  run: (context: RequestContext) => Promise<Result>,
  signal?: AbortSignal,
): Promise<Within<Result>> {
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  await using pair = await startPair({
    handler: async (_request, context) => {
      await run(context).then(resolve, reject);
      return null;
    },
  });
  const answer = pair.client.call({ count: 1 }, { ...(signal && { signal }) });
  answer.catch(() => undefined);
  return { result: await promise, lines: pair.workerLines };
}

const count = async (request: ModelRequest, hooks: Partial<PromptHooks>): Promise<number> =>
  (
    await inHandler((context) =>
      countPrompt(request, { countTokens: (text) => text.length, render: undefined, ...hooks }, context),
    )
  ).result;

describe("the count of a prompt", () => {
  test("is made of what render makes of it, or else of the texts of its messages", async () => {
    const texts: string[] = [];
    const countTokens = (text: string): number => texts.push(text);
    await count(conversation, { countTokens });
    await count(conversation, { countTokens, render: async ({ messages }) => `[${messages.length}]` });
    await count({ ...conversation, prompt: { text: "once upon" } }, { countTokens, render: () => "never asked" });
    expect(texts).toEqual(["be kind\nhello", "[2]", "once upon"]);
  });

  test("is that of its token ids, without asking anybody", async () => {
    const countTokens = (): never => {
      throw new Error("asked");
    };
    expect(await count({ ...base, prompt: { text: "7 8 9", tokenIds: [7, 8, 9] } }, { countTokens })).toBe(3);
  });

  test.each([
    [{ countTokens: () => -1 }, "countTokens must give a whole number from 0, got -1"],
    [{ countTokens: () => "12" }, 'countTokens must give a whole number from 0, got "12"'],
    [{ countTokens: async () => Number.NaN }, "countTokens must give a whole number from 0, got NaN"],
    [{ render: () => undefined }, "render must give a string, got undefined"],
  ])("is refused if it is none: %s", async (hooks, message) => {
    expect(await failureOf(count(conversation, hooks as Partial<PromptHooks>))).toMatchObject({
      code: "internal",
      message,
    });
  });
});

describe("the count for usage", () => {
  test("is given up when it takes too long, with the hook's signal and a line", async () => {
    let seen: AbortSignal | undefined;
    const hooks: PromptHooks = {
      render: undefined,
      countTokens: (_text, _request, { signal }) => {
        seen = signal;
        return new Promise(() => undefined);
      },
    };
    const { result, lines } = await inHandler((context) => createUsageCount("m", hooks, 1)(conversation, context));
    expect(result).toBeUndefined();
    expect(seen?.aborted).toBe(true);
    expect(seen?.reason).toMatchObject({ code: "deadline_exceeded" });
    expect(lines.filter(({ level }) => level === "WARN")).toEqual([
      expect.objectContaining({
        message: "the engine could not count a prompt, usage has the runtime's count",
        model: "m",
        error: "the tokens of the prompt were not counted within 1 ms",
      }),
    ]);
  });

  test("ends in silence when the request is cancelled", async () => {
    const aborter = new AbortController();
    const hooks: PromptHooks = {
      render: undefined,
      countTokens: () => {
        aborter.abort();
        return new Promise(() => undefined);
      },
    };
    const counting = inHandler(
      (context) => createUsageCount("m", hooks, 60_000)(conversation, context),
      aborter.signal,
    );
    const { result, lines } = await counting;
    expect(result).toBeUndefined();
    expect(lines.filter(({ level }) => level === "WARN")).toEqual([]);
  });
});

describe("a model that counts", () => {
  async function open(): Promise<[worker: Runtime, caller: Runtime]> {
    const memorySpace = createMemorySpace();
    const log = createLogger({ sink: () => undefined }).pino;
    return [await createRuntime({ config, memorySpace, log }), await createRuntime({ config, memorySpace, log })];
  }
  const engine = async (): Promise<{ text: string }> => ({ text: "one" });
  const options: ServeModelOptions = {
    model: "m",
    endpoint: "dyn://test.model.generate",
    countTokens: (text) => text.length,
  };

  test("serves an endpoint for it until it closes, and refuses there what is no request", async () => {
    const [worker, caller] = await open();
    const serving = await serveModel(worker, options, engine);
    const client = caller.client<Partial<ModelJob>, TokenCount>("dyn://test.model.generate-count_tokens");
    await client.waitForInstances();
    const prompts = [{ text: "ab" }, { text: "cde" }];
    expect(await client.call({ ...base, prompts, n: 4 })).toEqual({ promptTokens: 5 });
    expect(await failureOf(client.call({ model: "m" }))).toMatchObject({
      code: "invalid_argument",
      message: "messages of the request must be a list of maps with role and text",
    });
    expect(worker.status().endpoints.map(({ endpoint }) => endpoint)).toEqual([
      "dyn://test.model.generate-count_tokens",
      "dyn://test.model.generate",
    ]);
    await serving.close();
    expect(worker.status().endpoints).toEqual([]);
    await eventually("its instance being gone", () => client.instances.length === 0);
    await Promise.all([caller.close(), worker.close()]);
  });

  test("gives up the count with the other choices of a request when one of them fails", async () => {
    const [worker, caller] = await open();
    let seen: AbortSignal | undefined;
    const countTokens: ServeModelOptions["countTokens"] = (_text, _request, { signal }) => {
      seen = signal;
      return new Promise(() => undefined);
    };
    let calls = 0;
    await serveModel(worker, { ...options, countTokens }, async () => {
      calls += 1;
      if (calls === 2) throw new RuntimeError("invalid_argument", "too long");
      return { text: "one" };
    });
    const client = caller.client<Partial<ModelJob>, unknown>("dyn://test.model.generate");
    await client.waitForInstances();
    expect(await failureOf(collect(client.generate({ ...base, n: 2 })))).toMatchObject({ message: "too long" });
    expect(seen?.reason).toMatchObject({ message: "another choice of the request has failed" });
    await Promise.all([caller.close(), worker.close()]);
  });

  test("begins with an answer before it counts the prompt", async () => {
    const [worker, caller] = await open();
    const steps: string[] = [];
    const countTokens = (): number => steps.push("counted");
    await serveModel(worker, { ...options, countTokens }, async () => {
      steps.push("begun");
      return { text: "one" };
    });
    const client = caller.client<Partial<ModelJob>, unknown>("dyn://test.model.generate");
    await client.waitForInstances();
    const [delta] = await collect(client.generate(base));
    expect(steps).toEqual(["begun", "counted"]);
    expect(delta).toMatchObject({ text: "one", usage: { promptTokens: 2 } });
    await Promise.all([caller.close(), worker.close()]);
  });

  test("leaves no endpoint behind if it cannot be served", async () => {
    const [worker, caller] = await open();
    await worker.endpoint("dyn://test.model.generate").serve(async () => 1);
    expect(await failureOf(serveModel(worker, options, engine))).toMatchObject({ code: "invalid_argument" });
    expect(worker.status().endpoints.map(({ endpoint }) => endpoint)).toEqual(["dyn://test.model.generate"]);
    await Promise.all([caller.close(), worker.close()]);
  });

  test("is refused with hooks that are none", async () => {
    const [worker, caller] = await open();
    const refusal = async (more: object): Promise<string> =>
      (await failureOf(serveModel(worker, { model: "m", ...more }, engine))).message;
    expect(await refusal({ countTokens: 7 })).toBe("countTokens must be a function, got 7");
    expect(await refusal({ countTokens: () => 1, render: "x" })).toBe('render must be a function, got "x"');
    expect(await refusal({ render: () => "x" })).toBe(
      "render makes the text for countTokens, which must be given, too",
    );
    expect(await refusal({ counttokens: () => 1 })).toContain("did you mean countTokens?");
    const endpoint = `dyn://test.model.${"g".repeat(120)}`;
    expect(await refusal({ endpoint, countTokens: () => 1 })).toContain("is no endpoint");
    await Promise.all([caller.close(), worker.close()]);
  });

  test("hands on to the caller what a hook says in a code of its own", async () => {
    const [worker, caller] = await open();
    const countTokens = (): never => {
      throw new RuntimeError("invalid_argument", "roles must alternate");
    };
    await serveModel(worker, { ...options, countTokens }, engine);
    const client = caller.client("dyn://test.model.generate-count_tokens");
    await client.waitForInstances();
    expect(await failureOf(client.call(base))).toMatchObject({
      code: "invalid_argument",
      message: "roles must alternate",
    });
    await Promise.all([caller.close(), worker.close()]);
  });
});
