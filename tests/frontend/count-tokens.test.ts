// Without a tokenizer tokens of a prompt are words: of all that an engine reads, tools and schemas too, and the same wherever they are counted.
import { createFrontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime, RuntimeError, type Runtime } from "@dyn/runtime";
import { serveModel, type ModelRequest } from "@dyn/runtime/llm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { countJsonTokens, countPromptTokens } from "../../packages/runtime/src/llm/tokens.ts";
import { eventually, postChat } from "../support/cluster.ts";
import { chatTool, schema, tool } from "./weather.ts";

const config = { discoveryBackend: "mem", log: "off" } as const;
let runtimes: Runtime[];
let url: string;
let close: () => Promise<void>;
let counted: ModelRequest | undefined;
let text = "";
let isFailing = false;

beforeAll(async () => {
  const memorySpace = createMemorySpace();
  runtimes = await Promise.all([0, 1].map(() => createRuntime({ config, memorySpace })));
  const [worker, runtime] = runtimes as [Runtime, Runtime];
  const endpoint = (model: string): string => `dyn://dynamo.${model}.generate`;
  const answer = async (): Promise<{ text: string }> => {
    if (isFailing) throw new RuntimeError("invalid_argument", "no");
    return { text: "yes" };
  };
  await serveModel(worker, { model: "words", endpoint: endpoint("words"), capabilities: ["tools", "schemas"] }, answer);
  const countTokens = (prompt: string, request: ModelRequest): number => {
    [text, counted] = [prompt, request];
    return 7;
  };
  await serveModel(worker, { model: "counting", endpoint: endpoint("counting"), countTokens }, answer);
  await serveModel(
    worker,
    { model: "seeing", endpoint: endpoint("seeing"), countTokens, capabilities: ["images"] },
    answer,
  );
  const frontend = await createFrontend({ runtime, httpPort: 0 });
  ({ url } = frontend);
  close = () => frontend.close();
});
afterAll(async () => {
  await close();
  await Promise.all(runtimes.map((runtime) => runtime.close()));
});

async function post(path: string, body: object): Promise<{ readonly status: number; readonly body: unknown }> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  const said = await response.text();
  return { status: response.status, body: said.startsWith("{") ? (JSON.parse(said) as unknown) : said };
}

const count = (body: object): Promise<{ readonly status: number; readonly body: unknown }> =>
  post("/v1/messages/count_tokens", { model: "words", ...body });

test.each([
  ["{}", 0],
  ['{"type":"object"}', 2],
  ['[1,2.5,true,null,"a b"]', 6],
  [String.raw`"a\nb\"c\\d"`, 4],
  [String.raw`"a\u00e9"`, 2],
  ['"', 0],
  ["\\", 0],
])("the words of %s are %i", (json, words) => {
  expect(countJsonTokens(json)).toBe(words);
});

describe("a prompt of as many words has", () => {
  const messages = [{ role: "user" as const, content: "what is the weather?" }];
  const toolWords = 16; // name, kind, description and parameters with their names, as the engine has them
  const format = { output_config: { format: { type: "json_schema", schema } } };
  const formatWords = 11;
  const called = [
    ...messages,
    { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "weather", input: { city: "Lyon" } }] },
    { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_1", content: "rain all day" }] },
  ];

  test.each([
    ["messages", { messages }, 4],
    ["a system text", { messages, system: "be kind" }, 6],
    ["tools", { messages, tools: [tool] }, 4 + toolWords],
    ["two tools", { messages, tools: [tool, { ...tool, name: "other" }] }, 4 + 2 * toolWords],
    ["a schema of the answer", { messages, ...format }, 4 + formatWords],
    ["calls and their results", { messages: called, tools: [tool] }, 4 + 3 + 3 + toolWords],
  ])("%s", async (_, asked, words) => {
    expect(await count(asked)).toEqual({ status: 200, body: { input_tokens: words } });
    const whole = await post("/v1/messages", { model: "words", max_tokens: 9, ...asked });
    expect(whole.body).toMatchObject({ usage: { input_tokens: words } });
    const streamed = await post("/v1/messages", { model: "words", max_tokens: 9, stream: true, ...asked });
    expect(String(streamed.body).match(/(?<="input_tokens":)\d+/g)).toEqual([`${words}`, `${words}`]);
  });

  test("tools of OpenAI's clients", async () => {
    const { strict: _, ...plain } = chatTool.function;
    const ask = { model: "words", messages, tools: [{ type: "function", function: plain }] };
    expect(await (await postChat(url, ask)).json()).toMatchObject({ usage: { prompt_tokens: 4 + toolWords } });
  });

  test("tools of a request that fails, in its metrics", async () => {
    isFailing = true;
    const sumOf = async (): Promise<number> => {
      const metrics = await (await fetch(`${url}/metrics`)).text();
      return Number(/^dynamo_frontend_input_sequence_tokens_sum\{model="words"\} (\d+)$/m.exec(metrics)?.[1]);
    };
    const before = await sumOf();
    await post("/v1/messages", { model: "words", max_tokens: 9, messages, tools: [tool] });
    const added = await eventually("the request being counted", async () => (await sumOf()) - before || undefined);
    expect(added).toBe(4 + toolWords);
    isFailing = false;
  });

  test("tools of a caller that is no frontend, whatever is in them", () => {
    const tools = [{ name: "a", kind: "function", parameters: { most: 2n ** 70n } }] as const;
    expect(countPromptTokens({ messages: [], tools })).toBe(7);
  });
});

test("a hook without a template gets all of it as text", async () => {
  const messages = [
    { role: "user", content: "rain?" },
    { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "weather", input: { city: "Lyon" } }] },
    { role: "user", content: "and now?" },
  ];
  await post("/v1/messages/count_tokens", { model: "counting", messages, tools: [tool] });
  const [said, called, asked, tools = ""] = text.split("\n");
  expect([said, called, asked]).toEqual(["rain?", 'weather {"city":"Lyon"}', "and now?"]);
  expect(JSON.parse(tools)).toMatchObject([{ name: "weather", parameters: schema }]);
});

describe("an image that is counted", () => {
  const source = { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" };
  const image = {
    role: "user",
    content: [
      { type: "image", source },
      { type: "text", text: "and this?" },
    ],
  };
  const earlier = [image, { role: "assistant", content: "a cat" }, { role: "user", content: "why?" }];

  test.each(["words", "counting"])("is refused for %s as in messages, if it is asked about", async (model) => {
    const [refused, asked] = [
      await post("/v1/messages/count_tokens", { model, messages: [image] }),
      await post("/v1/messages", { model, max_tokens: 9, messages: [image] }),
    ];
    expect([refused.status, asked.status]).toEqual([400, 400]);
    const { error } = refused.body as { error: unknown };
    expect(asked.body).toMatchObject({ error });
  });

  test("is kept from the hook of a model that reads none", async () => {
    const { status } = await post("/v1/messages/count_tokens", { model: "counting", messages: earlier });
    expect([status, counted?.messages[0]]).toEqual([200, { role: "user", text: "and this?" }]);
  });

  test("reaches the hook of a model that reads it", async () => {
    const { status } = await post("/v1/messages/count_tokens", { model: "seeing", messages: [image] });
    expect([status, counted?.messages[0]?.parts?.map(({ kind }) => kind)]).toEqual([200, ["image", "text"]]);
  });
});
