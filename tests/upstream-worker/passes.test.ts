// What of a request reaches a server of OpenAI's API behind a worker, and what of its answer reaches the client.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type OpenAI from "openai";
import { describe, expect, test } from "vitest";
import { openDirectory } from "../support/directory.ts";
import { piece, sendEvents, sendJson } from "./scripted-server.ts";
import { hello, usage, useSetup } from "./setup.ts";

const current = useSetup();

describe("what passes through", () => {
  test("a conversation with tools, parts, a form and sampling reaches the upstream in its own words, schemas to the last digit", async () => {
    await current().startWorker();
    await current().whenListed("up");
    current().server.answer = (response) => {
      sendEvents(response, piece({ role: "assistant", content: "hi" }), piece({}, "stop"), "[DONE]");
      response.end();
    };
    const body = `{"model":"up","messages":[
      {"role":"developer","content":"be brief"},
      {"role":"user","name":"ann","content":[{"type":"text","text":"look"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}},{"type":"input_audio","input_audio":{"data":"BBBB","format":"wav"}},{"type":"file","file":{"file_id":"f1","filename":"a.pdf"}}]},
      {"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"find","arguments":"{\\"a\\": 1}"}}]},
      {"role":"tool","tool_call_id":"call_1","content":"found"}],
      "tools":[{"type":"function","function":{"name":"find","description":"d","strict":true,"parameters":{"type":"object","properties":{"a":{"maximum":12345678901234567890}}}}},{"type":"custom","custom":{"name":"patch","format":{"type":"text"}}}],
      "tool_choice":{"type":"function","function":{"name":"find"}},"parallel_tool_calls":false,
      "response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object","multipleOf":0.10000000000000000000001}}},
      "max_completion_tokens":9,"temperature":0.5,"top_p":0.9,"seed":9007199254740993,"stop":["END"],"frequency_penalty":0.1,"presence_penalty":0.2,"min_tokens":3,"ignore_eos":true}`;
    const answer = await fetch(`${current().url}/v1/chat/completions`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "x-request-id": "mine",
        traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`,
      },
      body,
    });
    expect(answer.status, await answer.clone().text()).toBe(200);
    const [heard] = current().server.heard;
    expect(heard?.path).toBe("/v1/chat/completions");
    expect(heard?.headers).toMatchObject({ "x-request-id": "mine", accept: "text/event-stream" });
    expect(heard?.headers["traceparent"]).toMatch(new RegExp(`^00-${"a".repeat(32)}-(?!${"b".repeat(16)})`));
    expect(heard?.headers["authorization"]).toBeUndefined();
    expect(heard?.text).toContain('"maximum":12345678901234567890');
    expect(heard?.text).toContain('"multipleOf":0.10000000000000000000001');
    expect(heard?.text).toContain('"seed":9007199254740993');
    const given = JSON.parse(body) as Record<string, unknown>;
    const { max_completion_tokens: maxTokens, messages, ...others } = given;
    const [first, ...rest] = messages as object[];
    expect(heard?.body).toEqual({
      ...others,
      messages: [{ ...first, role: "system" }, ...rest],
      max_tokens: maxTokens,
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  test("a bare prompt, as text and as token ids, goes to /completions", async () => {
    await current().startWorker();
    await current().whenListed("up");
    current().server.answer = (response) => {
      sendEvents(
        response,
        { choices: [{ index: 0, text: "one", finish_reason: "length" }] },
        { choices: [], usage },
        "[DONE]",
      );
      response.end();
    };
    const answer = await current().openai.completions.create({ model: "up", prompt: [1, 2, 3], max_tokens: 4 });
    expect(answer.choices[0]).toMatchObject({ text: "one", finish_reason: "length" });
    expect(answer.usage).toMatchObject({ prompt_tokens: 7, completion_tokens: 3 });
    await current().openai.completions.create({ model: "up", prompt: "say" });
    expect(current().server.heard.map(({ path, body }) => [path, body])).toMatchObject([
      ["/v1/completions", { prompt: [1, 2, 3], max_tokens: 4 }],
      ["/v1/completions", { prompt: "say" }],
    ]);
  });

  test("text, calls, usage, the finish reason and limits of the caller come back", async () => {
    await current().startWorker();
    await current().whenListed("up");
    current().server.answer = (response) => {
      response.writeHead(200, { "content-type": "text/event-stream", "x-ratelimit-remaining-requests": "59" });
      const call = (index: number, more: object): Record<string, unknown> => ({ tool_calls: [{ index, ...more }] });
      sendEvents(
        response,
        piece({ role: "assistant", content: "" }),
        piece({ content: "let me " }),
        piece({ content: "see" }),
        piece(call(4, { id: "call_a", type: "function", function: { name: "find", arguments: "" } })),
        piece(call(4, { function: { arguments: '{"q":' } })),
        piece(call(4, { function: { arguments: "1}" } })),
        piece(call(9, { id: "call_b", type: "function", function: { name: "find", arguments: { q: 2 } } })),
        piece({}, "tool_calls"),
        { choices: [], usage },
        "[DONE]",
      );
      response.end();
    };
    const tools = [{ type: "function", function: { name: "find", parameters: { type: "object" } } }];
    const { data, response } = await current()
      .openai.chat.completions.create({
        model: "up",
        messages: hello,
        tools,
      } as OpenAI.ChatCompletionCreateParamsNonStreaming)
      .withResponse();
    expect(data.choices[0]).toMatchObject({
      finish_reason: "tool_calls",
      message: {
        content: "let me see",
        tool_calls: [
          { id: "call_a", function: { name: "find", arguments: '{"q":1}' } },
          { id: "call_b", function: { name: "find", arguments: '{"q":2}' } },
        ],
      },
    });
    expect(data.usage).toMatchObject({
      prompt_tokens: 7,
      completion_tokens: 3,
      prompt_tokens_details: { cached_tokens: 5 },
    });
    expect(response.headers.get("x-ratelimit-remaining-requests")).toBe("59");
  });

  test("calls that are all numbered 0, or not at all, stay apart by their ids and names", async () => {
    await current().startWorker();
    await current().whenListed("up");
    current().server.answer = (response) => {
      const call = (id: string, q: string, more: object = {}): unknown =>
        piece({ tool_calls: [{ ...more, id, function: { name: "find", arguments: q } }] });
      sendEvents(response, call("a", "1", { index: 0 }), call("b", "2", { index: 0 }), call("c", "3"), call("d", "4"));
      sendEvents(
        response,
        piece({ tool_calls: [{ function: { arguments: "5" } }] }),
        piece({}, "tool_calls"),
        "[DONE]",
      );
      response.end();
    };
    const { choices } = await current().ask();
    expect(choices[0]?.message.tool_calls).toMatchObject([
      { id: "a", function: { arguments: "1" } },
      { id: "b", function: { arguments: "2" } },
      { id: "c", function: { arguments: "3" } },
      { id: "d", function: { arguments: "45" } },
    ]);
  });

  test("what the model thinks comes back, and a wish to think and earlier thoughts reach an upstream that takes them", async () => {
    await current().startWorker({ capabilities: ["reasoning"] });
    await current().whenListed("up");
    current().server.answer = (response) => {
      const details = { completion_tokens_details: { reasoning_tokens: 2 } };
      sendEvents(response, piece({ reasoning_content: "hm", reasoning: "hm" }), piece({ reasoning: " yes" }));
      sendEvents(
        response,
        piece({ content: "hi" }, "stop"),
        { choices: [], usage: { ...usage, ...details } },
        "[DONE]",
      );
      response.end();
    };
    const thought = { role: "assistant", content: "so", reasoning_content: "earlier" } as const;
    const answer = await current().ask({ messages: [...hello, thought, ...hello], reasoning_effort: "low" });
    expect(answer.choices[0]?.message).toMatchObject({ content: "hi", reasoning_content: "hm yes" });
    expect(answer.usage).toMatchObject({ completion_tokens: 3, completion_tokens_details: { reasoning_tokens: 2 } });
    await current().ask({ reasoning_effort: "none" });
    expect(current().server.heard.map(({ body }) => body)).toMatchObject([
      { reasoning_effort: "low", messages: [{}, thought, {}] },
      { reasoning_effort: "none" },
    ]);
  });

  test("of tools only those that may be called are sent, and no wish to think to an upstream that is not said to take it", async () => {
    await current().startWorker();
    await current().whenListed("up");
    current().server.answer = (response) => {
      sendEvents(response, piece({ content: "hi" }, "stop"), "[DONE]");
      response.end();
    };
    const [find, patch] = ["find", "patch"].map((name) => ({ type: "function", function: { name } }) as const);
    const tools = [find, patch].flatMap((each) => each ?? []);
    const allowed = { mode: "required" as const, tools: [{ type: "function", function: { name: "patch" } }] };
    const choice = { type: "allowed_tools", allowed_tools: allowed } as const;
    await current().ask({ tools, tool_choice: choice, reasoning_effort: "high" });
    expect(current().server.heard[0]?.body).toMatchObject({ tools: [patch], tool_choice: "required" });
    expect(current().server.heard[0]?.text).not.toContain("reasoning");
  });

  test("likelihoods of tokens come back in both forms, and those of a prompt are refused", async () => {
    await current().startWorker({ capabilities: ["logprobs"] });
    await current().whenListed("up");
    const { openai, server } = current();
    const top = [{ token: "a", logprob: -0.5, bytes: [97] }];
    server.answer = (response, { path }) => {
      const content = [{ token: "a", logprob: -0.5, bytes: [97], top_logprobs: top }];
      const columns = { tokens: ["a"], token_logprobs: [-0.5], top_logprobs: [{ b: -2, a: -0.5 }], text_offset: [0] };
      const choice = path.endsWith("/chat/completions")
        ? { delta: { content: "a" }, logprobs: { content } }
        : { text: "a", logprobs: columns };
      sendEvents(response, { choices: [{ index: 0, ...choice, finish_reason: "stop" }] }, "[DONE]");
      response.end();
    };
    const chat = await current().ask({ logprobs: true, top_logprobs: 1 });
    expect(chat.choices[0]?.logprobs?.content).toEqual([{ token: "a", logprob: -0.5, bytes: [97], top_logprobs: top }]);
    const plain = await openai.completions.create({ model: "up", prompt: "x", logprobs: 2 });
    expect(plain.choices[0]?.logprobs).toMatchObject({ tokens: ["a"], top_logprobs: [{ a: -0.5, b: -2 }] });
    expect(server.heard.map(({ body }) => body)).toMatchObject([{ logprobs: true, top_logprobs: 1 }, { logprobs: 2 }]);
    const echoed = openai.completions.create({ model: "up", prompt: "x", logprobs: 0, echo: true });
    await expect(echoed).rejects.toMatchObject({ status: 501 });
  });

  test("a server that does not stream answers in one piece", async () => {
    await current().startWorker();
    await current().whenListed("up");
    current().server.answer = (response) => {
      const message = { role: "assistant", content: "whole" };
      sendJson(response, 200, {
        object: "chat.completion",
        choices: [{ index: 0, message, finish_reason: "stop" }],
        usage,
      });
    };
    const stream = await current().openai.chat.completions.create({ model: "up", messages: hello, stream: true });
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    expect(text).toBe("whole");
  });

  test("the key is read again for each request, and connections are kept", async () => {
    await using directory = await openDirectory("upstream-key");
    const apiKeyFile = join(directory.path, "key");
    await writeFile(apiKeyFile, "first\n");
    await current().startWorker({ apiKeyFile, healthIntervalMs: 60_000 });
    await current().whenListed("up");
    current().server.answer = (response) => {
      sendEvents(response, piece({ content: "hi" }, "stop"), "[DONE]");
      response.end();
    };
    await current().ask();
    await writeFile(apiKeyFile, "second");
    await current().ask();
    expect(current().server.heard.map(({ headers }) => headers["authorization"])).toEqual([
      "Bearer first",
      "Bearer second",
    ]);
    expect(current().server.connections).toBe(1);
  });
});

describe("when a client leaves", () => {
  test("the upstream's request ends", async () => {
    await current().startWorker();
    await current().whenListed("up");
    current().server.answer = (response) => sendEvents(response, piece({ content: "begun" }));
    const stream = await current().openai.chat.completions.create({ model: "up", messages: hello, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content === "begun") break;
    stream.controller.abort();
    await current().server.heard[0]?.left;
  });
});
