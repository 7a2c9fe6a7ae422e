// What an engine sees of requests that the official clients make, at the other end of a real connection.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createFrontend, type Frontend } from "@dyn/frontend";
import { createMemorySpace, createRuntime, type Runtime } from "@dyn/runtime";
import { serveModel, type ModelRequest } from "@dyn/runtime/llm";
import { createLogger } from "../../packages/runtime/dist/logging/logger.js";
import { eventually } from "../cluster.ts";

let last: ModelRequest | undefined;
let worker: Runtime;
let caller: Runtime;
let frontend: Frontend;
let openai: OpenAI;
let anthropic: Anthropic;
beforeAll(async () => {
  const log = createLogger({ sink: () => undefined });
  const memorySpace = createMemorySpace();
  const open = (): Promise<Runtime> => createRuntime({ config: { discoveryBackend: "mem" }, memorySpace, log });
  [worker, caller] = await Promise.all([open(), open()]);
  await serveModel(worker, { model: "seer" }, async function* (request) {
    last = request;
    yield { text: "seen" };
  });
  frontend = await createFrontend({ runtime: caller, httpPort: 0 });
  openai = new OpenAI({ baseURL: `${frontend.url}/v1`, apiKey: "unused", maxRetries: 0 });
  anthropic = new Anthropic({ baseURL: frontend.url, apiKey: "unused", maxRetries: 0 });
  await eventually("the model", async () => (await openai.models.list()).data.length === 1);
});
afterAll(async () => {
  await frontend[Symbol.asyncDispose]();
  await Promise.all([worker, caller].map((runtime) => runtime[Symbol.asyncDispose]()));
});

const seen = (): unknown => last?.messages.map(({ role, text }) => [role, text]);
const image = { type: "image" as const, source: { type: "base64" as const, media_type: "image/png" as const, data: "AAAA" } };

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
          { type: "tool_result", tool_use_id: "toolu_2", is_error: true, content: [{ type: "tool_reference", tool_name: "find" }] },
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
      { role: "assistant", tool_calls: [{ id: "call_1", type: "function", function: { name: "read", arguments: "{}" } }] },
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
test.each(["9007199254740993", "-9223372036854775808", "9223372036854775807"])("a seed of 64 bits with every digit: %s", async (seed) => {
  const bodies = { "chat/completions": `"messages":[{"role":"user","content":"hi"}]`, completions: `"prompt":"hi"` };
  for (const [path, more] of Object.entries(bodies)) {
    const body = `{"model":"seer","seed":${seed},"n":2,${more}}`;
    const response = await fetch(`${frontend.url}/v1/${path}`, { method: "POST", headers: { "content-type": "application/json" }, body });
    expect(response.status, await response.text()).toBe(200);
    expect(last?.sampling.seed).toBe(BigInt.asIntN(64, BigInt(seed) + 1n)); // of the second completion
  }
});
