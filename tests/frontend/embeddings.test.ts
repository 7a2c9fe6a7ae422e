// Embeddings: what OpenAI's client asks for reaches engines that make them, and what they make reaches it, to the last bit. The mock makes some of hashed words.
import { createFrontend } from "@dyn/frontend";
import { startMockWorker, type MockWorker } from "@dyn/mock-worker";
import { createMemorySpace, createRuntime, RuntimeError, type Runtime } from "@dyn/runtime";
import { serveEmbeddings, serveModel, type EmbeddingRequest, type Embeddings } from "@dyn/runtime/llm";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { postChat } from "../support/cluster.ts";

const config = { discoveryBackend: "mem", log: "off" } as const;
let runtimes: Runtime[];
let mock: MockWorker;
let url: string;
let close: () => Promise<void>;
let seen: EmbeddingRequest | undefined;
let made: unknown;

beforeAll(async () => {
  const memorySpace = createMemorySpace();
  runtimes = await Promise.all([0, 1].map(() => createRuntime({ config, memorySpace })));
  const [worker, runtime] = runtimes as [Runtime, Runtime];
  const embed = async (request: EmbeddingRequest): Promise<Embeddings> => {
    seen = request;
    if (made instanceof Error) throw made;
    return (made ?? { vectors: request.inputs.map((_, index) => [0.1, index, -1e-7]) }) as Embeddings;
  };
  const endpoint = (name: string): string => `dyn://dynamo.${name}.generate`;
  const chat = async (): Promise<{ text: string }> => ({ text: "hello" });
  await serveEmbeddings(worker, { model: "vectors" }, embed);
  await serveModel(worker, { model: "chat", endpoint: endpoint("chat") }, chat);
  await serveModel(worker, { model: "both", endpoint: endpoint("both"), embed }, chat);
  mock = await startMockWorker({ config, memorySpace, component: "mock" });
  const frontend = await createFrontend({ runtime, httpPort: 0, httpAnswerLimitBytes: 2 ** 20 });
  ({ url } = frontend);
  close = async () => {
    await frontend.close();
    await mock.close();
  };
});
afterAll(async () => {
  await close();
  await Promise.all(runtimes.map((runtime) => runtime.close()));
});

const client = (): OpenAI => new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused", maxRetries: 0 });

async function post(body: object): Promise<[number, unknown]> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}/v1/embeddings`, { method: "POST", headers, body: JSON.stringify(body) });
  return [response.status, await response.json()];
}

function multiply(one: readonly number[] = [], other: readonly number[] = []): number {
  return one.reduce((sum, each, at) => sum + each * (other[at] ?? 0), 0);
}

describe("OpenAI's client", () => {
  test.each(["vectors", "both", "mock"])("gets the same vectors in either encoding from %s", async (model) => {
    const input = ["hello world", "good night"];
    made = undefined;
    const packed = await client().embeddings.create({ model, input }); // it asks for base64 by itself
    const plain = await client().embeddings.create({ model, input, encoding_format: "float" });
    expect(packed.data.map(({ index }) => index)).toEqual([0, 1]);
    for (const [at, { embedding }] of plain.data.entries())
      expect(Float32Array.from(embedding)).toEqual(Float32Array.from(packed.data[at]?.embedding ?? []));
    expect(packed).toMatchObject({ object: "list", model, usage: { prompt_tokens: 4, total_tokens: 4 } });
  });

  test("gets base64 of little-endian floats", async () => {
    made = { vectors: [[1, -2, 0.5]], promptTokens: 7 };
    expect(await post({ model: "vectors", input: "x", encoding_format: "base64" })).toEqual([
      200,
      {
        object: "list",
        data: [{ object: "embedding", index: 0, embedding: "AACAPwAAAMAAAAA/" }],
        model: "vectors",
        usage: { prompt_tokens: 7, total_tokens: 7 },
      },
    ]);
  });

  test("can talk to a model that does both", async () => {
    const messages = [{ role: "user" as const, content: "x" }];
    const { choices } = await client().chat.completions.create({ model: "both", messages });
    expect(choices[0]?.message.content).toBe("hello");
  });
});

describe("the engine sees", () => {
  test.each([
    ["hello", [{ text: "hello" }]],
    [
      ["a", "b"],
      [{ text: "a" }, { text: "b" }],
    ],
    [[1, 2], [{ text: "1 2", tokenIds: [1, 2] }]],
    [
      [[1], [2, 3]],
      [
        { text: "1", tokenIds: [1] },
        { text: "2 3", tokenIds: [2, 3] },
      ],
    ],
  ])("input %j", async (input, inputs) => {
    made = undefined;
    expect(await post({ model: "vectors", input, user: "somebody", dimensions: null })).toMatchObject([200, {}]);
    expect(seen).toEqual({ model: "vectors", inputs });
  });

  test("2048 inputs, and their vectors come back in order", async () => {
    made = undefined;
    const input = Array.from({ length: 2_048 }, (_, index) => `text ${index}`);
    const { data } = await client().embeddings.create({ model: "vectors", input });
    expect(data.map(({ embedding }) => embedding[1])).toEqual(input.map((_, index) => index));
  });

  test("dimensions, and one that ignores them is no success", async () => {
    made = undefined;
    const [status, body] = await post({ model: "vectors", input: "x", dimensions: 2 });
    expect(seen?.dimensions).toBe(2);
    const message = 'the engine of model "vectors" makes embeddings of 3 numbers, dimensions asks for 2';
    expect([status, body]).toMatchObject([501, { error: { message } }]);
  });
});

describe("is refused by its field:", () => {
  test.each([
    [{}, "input is required", "missing_required_parameter"],
    [{ input: "" }, "input must not be empty", "string_below_min_length"],
    [{ input: [] }, "input must not be empty", "empty_array"],
    [{ input: ["a", ""] }, "input[1] must not be empty", "string_below_min_length"],
    [{ input: [[1], []] }, "input[1] must not be empty", "empty_array"],
    [{ input: ["a", 7] }, "input[1] must be a string", "invalid_type"],
    [{ input: [1, -1] }, "input[1] must be at least 0", "integer_below_min_value"],
    [{ input: Array(2_049).fill("a") }, "input must have at most 2048 items, not 2049", "array_above_max_length"],
    [{ input: {} }, "input must be a string, a list of token ids, or a list of 1 to 2048 of either", "invalid_type"],
    [{ input: "a", encoding_format: "int8" }, 'encoding_format must be one of "float", "base64"', "invalid_value"],
    [{ input: "a", dimensions: 0 }, "dimensions must be at least 1", "integer_below_min_value"],
    [{ input: "a", dimensions: 65_537 }, "dimensions must be at most 65536", "integer_above_max_value"],
  ])("%#", async (more, message, code) => {
    const [status, body] = await post({ model: "vectors", ...more });
    expect([status, body]).toMatchObject([400, { error: { message, code } }]);
  });

  test("an answer larger than the limit", async () => {
    made = { vectors: Array.from({ length: 100 }, () => new Float32Array(4_096)) };
    const input = Array.from({ length: 100 }, () => "x");
    expect(await post({ model: "vectors", input, encoding_format: "base64" })).toMatchObject([
      400,
      {
        error: {
          message:
            "input is too large: 100 vectors of 21850 bytes each, the limit is 1048576, set by DYN_HTTP_ANSWER_LIMIT_MB; send fewer",
          param: "input",
        },
      },
    ]);
  });
});

describe("one clear error", () => {
  test("for embeddings of a model that makes none", async () => {
    const error = { message: 'model "chat" makes no embeddings', code: "unimplemented" };
    expect(await post({ model: "chat", input: "x" })).toMatchObject([501, { error: { message: error.message } }]);
  });

  test.each(["/v1/chat/completions", "/v1/messages", "/v1/completions"])(
    "for %s of one that makes only them",
    async (path) => {
      const headers = { "content-type": "application/json" };
      const messages = [{ role: "user", content: "x" }];
      const body = JSON.stringify({ model: "vectors", max_tokens: 9, messages, prompt: "x" });
      const response = await fetch(`${url}${path}`, { method: "POST", headers, body });
      const message = 'model "vectors" makes embeddings only: ask for them at POST /v1/embeddings';
      expect([response.status, await response.json()]).toMatchObject([501, { error: { message } }]);
    },
  );

  test("for a model that nobody serves", async () => {
    expect(await post({ model: "nobody", input: "x" })).toMatchObject([404, { error: { code: "model_not_found" } }]);
  });

  test("of an engine's own", async () => {
    made = new RuntimeError("invalid_argument", "too long", { param: "input[0]", apiCode: "context_length_exceeded" });
    expect(await post({ model: "vectors", input: "x" })).toMatchObject([
      400,
      { error: { message: "too long", param: "input[0]", code: "context_length_exceeded" } },
    ]);
  });

  test.each([
    [undefined],
    [{ vectors: [] }],
    [{ vectors: [[]] }],
    [{ vectors: ["x"] }],
    [{ vectors: [[Number.NaN]] }],
    [{ vectors: [[1e300]] }],
    [{ vectors: [[1]], promptTokens: -1 }],
    [{ vectors: [[1], [2]] }],
  ])("for what an engine must not give: %j", async (wrong) => {
    made = wrong ?? 7;
    expect(await post({ model: "vectors", input: "x" })).toMatchObject([500, { error: { type: "server_error" } }]);
  });
});

describe("the mock's vectors", () => {
  async function vectorsOf(...input: string[]): Promise<number[][]> {
    const { data } = await client().embeddings.create({ model: "mock", input });
    return data.map(({ embedding }) => embedding);
  }

  test("have 384 numbers, or as many as are asked for, and the length 1", async () => {
    const [vector] = await vectorsOf("hello big world");
    expect(vector).toHaveLength(384);
    expect(multiply(vector, vector)).toBeCloseTo(1, 5);
    const { data } = await client().embeddings.create({ model: "mock", input: "…", dimensions: 3 });
    expect(data[0]?.embedding).toHaveLength(3);
    expect(multiply(data[0]?.embedding, data[0]?.embedding)).toBeCloseTo(1, 5);
  });

  test("are the same for the same text, close for common words, and far for others", async () => {
    const [one, same, close, far] = await vectorsOf(
      "the cat sat on the mat",
      "the cat sat on the mat",
      "a cat sat on a mat",
      "quarterly revenue grew eleven percent",
    );
    expect(same).toEqual(one);
    expect(multiply(one, close)).toBeGreaterThan(0.4);
    expect(multiply(one, far)).toBeLessThan(0.2);
  });

  test("are refused as the mock's faults say", async () => {
    mock.inject([{ type: "error", code: "overloaded", afterTokens: 0, rate: 1 }]);
    expect(await post({ model: "mock", input: "x" })).toMatchObject([529, {}]);
    mock.inject([]);
    expect(await post({ model: "mock", input: "x" })).toMatchObject([200, {}]);
  });
});

test("the request has its metrics and its place in the history", async () => {
  made = undefined;
  const headers = { "content-type": "application/json", "x-request-id": "embeddings-1" };
  const body = JSON.stringify({ model: "both", input: ["a b", "c"] });
  const response = await fetch(`${url}/v1/embeddings`, { method: "POST", headers, body });
  const id = response.headers.get("request-id");
  await response.text();
  const tree = (await (await fetch(`${url}/v1/requests/${id}`)).json()) as Record<string, unknown>;
  expect(tree).toMatchObject({
    state: "completed",
    request: { endpoint: "embeddings", model: "both", input_tokens: 3, output_tokens: 0, status: "success" },
  });
  expect(tree["problems"]).toEqual([]);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toMatch(/requests_total\{[^}]*endpoint="embeddings"[^}]*status="success"[^}]*\} \d/);
  expect((await postChat(url, { model: "both", messages: [{ role: "user", content: "x" }] })).status).toBe(200);
});
