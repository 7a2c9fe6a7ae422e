// What an engine sees of requests that the official clients make, at the other end of a real connection.
import type Anthropic from "@anthropic-ai/sdk";
import type OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ModelRequest } from "@dyn/runtime/llm";
import { openEngine, type EngineFixture } from "./sdk/engine.ts";

let last: ModelRequest | undefined;
let fixture: EngineFixture;
let openai: OpenAI;
let anthropic: Anthropic;
beforeAll(async () => {
  fixture = await openEngine("seer", 0, async function* (request) {
    last = request;
    yield { text: "seen" };
  });
  ({ openai, anthropic } = fixture);
});
afterAll(() => fixture[Symbol.asyncDispose]());

const seen = (): unknown => last?.messages.map(({ role, text }) => [role, text]);
const image = {
  type: "image" as const,
  source: { type: "base64" as const, media_type: "image/png" as const, data: "AAAA" },
};

test("a conversation of Anthropic's client, with all that its history may hold", async () => {
  const { content } = await anthropic.messages.create({
    model: "seer",
    max_tokens: 10,
    system: "be kind",
    messages: [
      { role: "user", content: [{ type: "text", text: "what is it?" }, image] },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "hm", signature: "s" },
          { type: "redacted_thinking", data: "s" },
          { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "cats" } },
          { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] },
          { type: "text", text: "let me see" },
          { type: "tool_use", id: "toolu_1", name: "read", input: {} },
          { type: "tool_use", id: "toolu_2", name: "search", input: {} },
        ],
      },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: "toolu_1", content: [image, { type: "text", text: "a cat" }] },
          {
            type: "tool_result",
            tool_use_id: "toolu_2",
            is_error: true,
            content: [{ type: "tool_reference", tool_name: "find" }],
          },
          { type: "text", text: "well?" },
        ],
      },
      { role: "system", content: [{ type: "text", text: "be brief", cache_control: { type: "ephemeral" } }] },
    ],
  });
  expect(content).toMatchObject([{ text: "seen" }]);
  expect(seen()).toEqual([
    ["system", "be kind"],
    ["user", "what is it?"],
    ["assistant", "let me see"],
    ["tool", "a cat"],
    ["tool", ""],
    ["user", "well?"],
    ["system", "be brief"],
  ]);
});

test("a conversation of OpenAI's client, with calls of tools and their results", async () => {
  await openai.chat.completions.create({
    model: "seer",
    messages: [
      { role: "developer", content: "be kind" },
      { role: "user", content: [{ type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } }] },
      {
        role: "assistant",
        tool_calls: [{ id: "call_1", type: "function", function: { name: "read", arguments: "{}" } }],
      },
      { role: "tool", tool_call_id: "call_1", content: [{ type: "text", text: "a cat" }] },
      { role: "user", content: "well?" },
    ],
  });
  expect(seen()).toEqual([
    ["developer", "be kind"],
    ["user", ""],
    ["assistant", ""],
    ["tool", "a cat"],
    ["user", "well?"],
  ]);
});

// No client of JavaScript can write one; those of other languages do.
test.each(["9007199254740993", "-9223372036854775808", "9223372036854775807"])(
  "a seed of 64 bits with every digit: %s",
  async (seed) => {
    const bodies = { "chat/completions": `"messages":[{"role":"user","content":"hi"}]`, completions: `"prompt":"hi"` };
    for (const [path, more] of Object.entries(bodies)) {
      const body = `{"model":"seer","seed":${seed},"n":2,${more}}`;
      const response = await fetch(`${fixture.url}/v1/${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
      expect(response.status, await response.text()).toBe(200);
      expect(last?.sampling.seed).toBe(BigInt.asIntN(64, BigInt(seed) + 1n)); // of the second completion
    }
  },
);
