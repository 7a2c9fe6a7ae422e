// What only Anthropic's client has: pages of models, the stream helper, counting, raw responses.
import Anthropic from "@anthropic-ai/sdk";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startCluster, type Cluster } from "../support/cluster.ts";

let cluster: Cluster;
let client: Anthropic;
beforeAll(async () => {
  cluster = await startCluster();
  await cluster.addWorker("--model-name", "org/mock");
  await cluster.addWorker("--model-name", "zeta");
  client = new Anthropic({ baseURL: cluster.url, apiKey: "unused", maxRetries: 0 });
});
afterAll(() => cluster[Symbol.asyncDispose]());

const ask = { model: "mock", max_tokens: 100, messages: [{ role: "user" as const, content: "one two three" }] };
const info = {
  type: "model",
  id: "org/mock",
  display_name: "org/mock",
  created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
  max_input_tokens: null,
  max_tokens: null,
};

test("models are listed in pages, from both ends, and shown", async () => {
  const ids = [];
  for await (const { id } of client.models.list({ limit: 1 })) ids.push(id);
  expect(ids).toEqual(["mock", "org/mock", "zeta"]);
  const before = await client.models.list({ limit: 1, before_id: "zeta" });
  expect(before).toMatchObject({ data: [info], has_more: true, first_id: "org/mock", last_id: "org/mock" });
  expect(await client.models.retrieve("org/mock")).toMatchObject(info);
});

test("a model that is not there, a bad page and a path we do not have are errors of Anthropic's shape", async () => {
  await expect(client.models.retrieve("org/nobody")).rejects.toMatchObject({
    name: "NotFoundError",
    type: "not_found_error",
  });
  await expect(client.models.list({ limit: 0 })).rejects.toMatchObject({
    name: "BadRequestError",
    type: "invalid_request_error",
  });
  await expect(client.beta.files.list()).rejects.toMatchObject({ name: "NotFoundError", type: "not_found_error" });
});

test("without their header the same path is OpenAI's", async () => {
  expect(await (await fetch(`${cluster.url}/v1/models`)).json()).toMatchObject({ object: "list" });
});

test("the stream helper hears every event in order, and ends with the message the unary call has", async () => {
  const kinds: string[] = [];
  const texts: string[] = [];
  const stream = client.messages.stream(ask);
  stream.on("streamEvent", ({ type }) => kinds.push(type));
  stream.on("text", (text) => texts.push(text));
  const message = await stream.finalMessage();
  expect(texts).toEqual(["one", " two", " three"]);
  expect(kinds).toEqual([
    "message_start",
    "content_block_start",
    ...texts.map(() => "content_block_delta"),
    "content_block_stop",
    "message_delta",
    "message_stop",
  ]);
  const { id: _id, ...unary } = await client.messages.create(ask);
  expect(message).toMatchObject(unary);
  expect(message.usage).toEqual({
    input_tokens: 3,
    output_tokens: 3,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    output_tokens_details: { thinking_tokens: 0 },
  });
});

test("tokens are counted as usage will say", async () => {
  const asks = [{ prompt: "a b" }, { prompt: " a  b c ", system: "be brief" }];
  for (const { prompt, system } of asks) {
    const more = {
      ...ask,
      messages: [{ role: "user" as const, content: prompt }],
      ...(system !== undefined && { system }),
    };
    const { max_tokens: _limit, ...counted } = more;
    const { input_tokens } = await client.messages.countTokens(counted);
    expect(input_tokens).toBe((await client.messages.create(more)).usage.input_tokens);
  }
});

test("betas, system blocks and cache marks are taken", async () => {
  const cache_control = { type: "ephemeral" as const };
  const message = await client.beta.messages.create({
    ...ask,
    betas: ["future-2030-01-01"],
    system: [{ type: "text", text: "be brief", cache_control }],
    messages: [{ role: "user", content: [{ type: "text", text: "hi there", cache_control }] }],
  });
  expect(message).toMatchObject({ content: [{ text: "hi there" }], usage: { input_tokens: 4 } });
});

test("raw responses have the id in header and body", async () => {
  const { data, response, request_id } = await client.messages.create(ask).withResponse();
  expect(request_id).toBe(response.headers.get("request-id"));
  expect(data.id).toBe(`msg_${request_id}`);
});

const user = (content: string): { role: "user"; content: string } => ({ role: "user", content });

test.each([
  { type: "adaptive" as const, display: "omitted" as const },
  { type: "enabled" as const, budget_tokens: 31_999, display: "summarized" as const },
])(
  "a request of a coding agent is answered: thinking ($type) it may do without, a system message behind the user's, betas",
  async (thinking) => {
    const { content } = await client.beta.messages
      .stream({
        ...ask,
        betas: ["mid-conversation-tool-changes-2026-07-01", "context-management-2025-06-27"],
        thinking,
        context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
        output_config: { effort: "high" },
        metadata: { user_id: "u" },
        tools: [{ name: "Find", defer_loading: true, input_schema: { type: "object" } }],
        messages: [
          user("<system-reminder>"),
          user("hello big world"),
          { role: "system", content: [{ type: "text", text: "# Environment" }] },
        ],
      })
      .finalMessage();
    expect(content).toMatchObject([{ type: "text", text: "hello big world" }]);
  },
);

test("what a tool has answered is what the mock repeats, and its tokens count", async () => {
  const results = ["sunny", "warm too"].map((content, index) => ({
    type: "tool_result" as const,
    tool_use_id: `toolu_${index}`,
    content,
  }));
  const calls = results.map(({ tool_use_id: id }) => ({ type: "tool_use" as const, id, name: "weather", input: {} }));
  const messages = [
    user("how is the weather?"),
    { role: "assistant" as const, content: calls },
    { role: "user" as const, content: results },
  ];
  const { content, usage } = await client.messages.create({ ...ask, messages });
  expect(content).toMatchObject([{ text: "warm too" }]);
  expect(usage.input_tokens).toBe(9); // four words asked, three answered, and the names of two calls

  expect(await client.messages.countTokens({ model: "mock", messages })).toMatchObject({ input_tokens: 9 });
});

test("tokens of a conversation with system messages among the others are counted", async () => {
  expect(
    await client.messages.countTokens({ model: "mock", messages: [user("a b"), { role: "system", content: "c" }] }),
  ).toMatchObject({
    input_tokens: 3,
  });
});

test("no tokens may be asked for", async () => {
  expect(await client.messages.create({ ...ask, max_tokens: 0 })).toMatchObject({
    content: [{ text: "" }],
    stop_reason: "max_tokens",
  });
});

test("a thread is refused, as none is kept here, and clients send the whole conversation instead", async () => {
  const asked = { model: "mock", max_tokens: 100, system: "be brief" };
  await expect(client.beta.messages.thread(asked).send(user("one two"))).rejects.toMatchObject({
    name: "ThreadUnsupportedRequestError",
    status: 400,
  });
  const thread = client.beta.messages.thread({ ...asked, unsupportedRequestBehavior: "continue_unthreaded" });
  expect((await thread.send(user("one two"))).usage.input_tokens).toBe(4);
  expect((await thread.send(user("three"))).usage.input_tokens).toBe(7); // both texts of the user, and the answer between
  expect(await client.beta.messages.toolRunner({ ...ask, tools: [] })).toMatchObject({
    content: [{ text: "one two three" }],
  });
});
