// Answers in a form: what a client asks for reaches an engine that can hold to it, and is refused for one that cannot. The mock answers with what the schema says.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { createFrontend } from "@dyn/frontend";
import { startMockWorker } from "@dyn/mock-worker";
import { createMemorySpace, createRuntime, type Runtime } from "@dyn/runtime";
import { serveModel, type ModelRequest } from "@dyn/runtime/llm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { postChat } from "../support/cluster.ts";

const config = { discoveryBackend: "mem", log: "off" } as const;
const messages = [{ role: "user" as const, content: "a person, please" }];
const schema = { type: "object", properties: { name: { type: "string" }, age: { type: "integer" } } };
let runtimes: Runtime[];
let url: string;
let close: () => Promise<void>;
let seen: ModelRequest["responseFormat"];

beforeAll(async () => {
  const memorySpace = createMemorySpace();
  runtimes = await Promise.all([0, 1].map(() => createRuntime({ config, memorySpace })));
  const [worker, runtime] = runtimes as [Runtime, Runtime];
  for (const [model, capabilities] of [
    ["able", ["schemas"]],
    ["unable", []],
  ] as const)
    await serveModel(worker, { model, capabilities, endpoint: `dyn://dynamo.${model}.generate` }, async (request) => {
      seen = request.responseFormat;
      return { text: "{}" };
    });
  const mock = await startMockWorker({ config, memorySpace, modelName: "mock", component: "mock" });
  const frontend = await createFrontend({ runtime, httpPort: 0 });
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

async function anthropic(model: string, more: object): Promise<number> {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ model, max_tokens: 9, messages, ...more });
  return (await fetch(`${url}/v1/messages`, { method: "POST", headers, body })).status;
}

describe("the engine sees", () => {
  test.each([
    [
      { type: "json_schema", json_schema: { name: "person", schema, strict: true } },
      { name: "person", schema, strict: true },
    ],
    [{ type: "json_schema", json_schema: { name: "person", schema: null, strict: null } }, { name: "person" }],
    [{ type: "json_object" }, {}],
    [{ type: "json_object", schema }, { schema }],
    [{ type: "text" }, undefined],
    [{ type: "grammar", grammar: "x" }, undefined],
    [null, undefined],
  ])("%j of OpenAI's clients", async (response_format, expected) => {
    expect((await postChat(url, { model: "able", messages, response_format })).status).toBe(200);
    expect(seen).toEqual(expected);
  });

  test.each([
    [{ output_config: { format: { type: "json_schema", schema }, effort: "high" } }, { schema, strict: true }],
    [{ output_config: { format: { type: "json_schema", schema } } }, { schema, strict: true }],
    [{ output_format: { type: "json_schema", schema } }, { schema, strict: true }],
    [{ output_config: { effort: "high" } }, undefined],
  ])("%j of Anthropic's clients", async (more, expected) => {
    expect(await anthropic("able", more)).toBe(200);
    expect(seen).toEqual(expected);
  });

  test("schemas to the last digit", async () => {
    const exact = '{"maximum":12345678901234567890}';
    const body = `{"model":"able","messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"schema":${exact}}}}`;
    const headers = { "content-type": "application/json" };
    expect((await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body })).status).toBe(200);
    expect(JSON.stringify(seen?.schema)).toBe(exact);
  });
});

test("a client is told of an engine that cannot", async () => {
  const response = await postChat(url, { model: "unable", messages, response_format: { type: "json_object" } });
  expect([response.status, await response.json()]).toMatchObject([
    501,
    {
      error: {
        message: 'the engine of model "unable" cannot hold its answer to a form, and one is asked for',
        param: "response_format",
        code: "unsupported",
      },
    },
  ]);
  expect((await postChat(url, { model: "unable", messages, response_format: { type: "text" } })).status).toBe(200);
  expect(await anthropic("unable", { output_format: { type: "json_schema", schema } })).toBe(501);
});

test.each([
  [{ type: "json_schema" }, "response_format.json_schema is required"],
  [{ type: "json_schema", json_schema: { schema: 7 } }, "response_format.json_schema.schema must be an object"],
  ["json_object", "response_format must be an object"],
])("%j is refused by its field", async (response_format, message) => {
  const response = await postChat(url, { model: "able", messages, response_format });
  expect([response.status, await response.json()]).toMatchObject([400, { error: { message } }]);
});

describe("the mock answers", () => {
  const Person = z.object({ name: z.string(), age: z.int().min(3), tags: z.array(z.enum(["a", "b"])) });
  const person = { name: "name", age: 3, tags: ["a"] };

  test("OpenAI's helpers with what their schema says, whole and streamed", async () => {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused", maxRetries: 0 });
    const ask = { model: "mock", messages, response_format: zodResponseFormat(Person, "person") };
    expect((await client.chat.completions.parse(ask)).choices[0]?.message.parsed).toEqual(person);
    const streamed = await client.chat.completions.stream(ask).finalChatCompletion();
    expect(streamed.choices[0]?.message.parsed).toEqual(person);
  });

  test("Anthropic's client with what its schema says", async () => {
    const client = new Anthropic({ baseURL: url, apiKey: "unused", maxRetries: 0 });
    const format = { type: "json_schema" as const, schema: { ...schema, additionalProperties: false } };
    const { content } = await client.messages.create({
      model: "mock",
      max_tokens: 99,
      messages,
      output_config: { format },
    });
    expect(content).toMatchObject([{ text: '{"name":"name","age":1}' }]);
  });

  test.each([
    ["a person, please", '{"text":"a person, please"}'],
    ['{"a":1}', '{"a":1}'],
  ])("any object, asked %j", async (said, text) => {
    const ask = {
      model: "mock",
      messages: [{ role: "user", content: said }],
      response_format: { type: "json_object" },
    };
    expect(await (await postChat(url, ask)).json()).toMatchObject({ choices: [{ message: { content: text } }] });
  });
});
