// The official Python clients against the same expectations as the JavaScript ones, and what only they have.
import type { ChatCompletion, Completion } from "openai/resources";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeAnswers } from "../e2e/sdk/answers.ts";
import type { SdkClient } from "../e2e/sdk/client.ts";
import { describeEndings } from "../e2e/sdk/endings.ts";
import { describeErrors } from "../e2e/sdk/errors.ts";
import { openFixture, type SdkFixture } from "../e2e/sdk/fixture.ts";
import { describeSilence } from "../e2e/sdk/silence.ts";
import { PythonError, startPython, type Python } from "../e2e/sdk/python.ts";

const names = ["openai (Python)", "anthropic (Python)"] as const;
const models = ["doomed", "half", "mock", "org/mock", "slow"];

const pythons: Python[] = [];
const toClients = async (url: string): Promise<readonly SdkClient[]> => {
  const started = await startPython(url);
  pythons.push(started);
  return started.clients;
};

let python: Python;
let fixture: SdkFixture<(typeof names)[number]>;
beforeAll(async () => {
  fixture = await openFixture(async (url) => {
    const clients = await toClients(url);
    [python] = pythons as [Python]; // it has just been started
    return clients;
  });
});
afterAll(async () => {
  await Promise.all(pythons.map((each) => each[Symbol.asyncDispose]()));
  await fixture[Symbol.asyncDispose]();
});

describe("openai (Python)", () => {
  test("lists models and shows one with a slash in its name", async () => {
    expect(await python.call("openai", "models", { model: "org/mock" })).toMatchObject({
      listed: models,
      shown: { id: "org/mock", object: "model" },
    });
  });

  test.each([
    ["a batch with n each", { prompt: ["a b", "c"], n: 2 }, ["a b", "a b", "c", "c"], 3, 6],
    ["an echo", { prompt: "so be it", echo: true }, ["so be itso be it"], 3, 3],
    ["token ids", { prompt: [[1], [2, 3]] }, ["1", "2 3"], 3, 3],
  ])("completes %s", async (_name, fields, texts, prompt_tokens, completion_tokens) => {
    const { choices, usage } = await python.call<Completion>("openai", "completions", { fields });
    expect(choices.map(({ text }) => text)).toEqual(texts);
    expect(usage).toMatchObject({ prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens });
  });

  test("gets n choices of a chat", async () => {
    const { choices } = await python.call<ChatCompletion>("openai", "chat", { prompt: "one two", fields: { n: 3 } });
    expect(choices.map(({ index, message }) => [index, message.content])).toEqual(
      [0, 1, 2].map((index) => [index, "one two"]),
    );
  });

  test("is refused top_logprobs without logprobs by name", async () => {
    const call = python.call("openai", "chat", { prompt: "x", fields: { top_logprobs: 1 } });
    await expect(call).rejects.toThrow(PythonError);
    const failure = {
      name: "BadRequestError",
      status: 400,
      param: "top_logprobs",
      code: "invalid_value",
      type: "invalid_request_error",
    };
    await expect(call).rejects.toMatchObject({ failure });
  });

  test("has the id of raw and streamed responses in header and body", async () => {
    const raw = await python.call<Record<string, unknown>>("openai", "raw", { prompt: "hi" });
    expect(raw).toEqual({
      status: 200,
      header: raw["id"],
      id: raw["id"],
      body: `chatcmpl-${String(raw["id"])}`,
      last: "data: [DONE]",
    });
  });

  test("accumulates a stream with its helper", async () => {
    const { kinds, completion } = await python.call<{ kinds: string[]; completion: ChatCompletion }>(
      "openai",
      "helper",
      { prompt: "one two" },
    );
    expect(kinds).toEqual(["chunk", "content.delta", "content.done"]);
    expect(completion.choices[0]?.message.content).toBe("one two");
  });
});

describe("anthropic (Python)", () => {
  test("lists models page by page and shows one with a slash in its name", async () => {
    const shown = { type: "model", id: "org/mock", display_name: "org/mock" };
    expect(await python.call("anthropic", "models", { limit: 2, model: "org/mock" })).toMatchObject({
      listed: models,
      shown,
    });
  });

  test("counts tokens as usage will say", async () => {
    expect(await python.call("anthropic", "count", { prompt: " a  b c ", system: "be brief" })).toEqual({
      counted: 6,
      used: 6,
    });
  });

  test("hears the events of a stream in order", async () => {
    const deltas = ["content_block_delta", "content_block_delta"];
    const kinds = [
      "message_start",
      "content_block_start",
      ...deltas,
      "content_block_stop",
      "message_delta",
      "message_stop",
    ];
    expect(await python.call("anthropic", "events", { prompt: "one two" })).toEqual(kinds);
  });

  test("has the id of a raw response in header and body", async () => {
    const raw = await python.call<Record<string, unknown>>("anthropic", "raw", { prompt: "hi" });
    expect(raw).toEqual({ status: 200, header: raw["id"], id: raw["id"], body: `msg_${String(raw["id"])}` });
  });
});

describeAnswers(names, () => fixture);
describeErrors(names, () => fixture);
describeEndings(names, () => fixture);
describeSilence(names, toClients);
