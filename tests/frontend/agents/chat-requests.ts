/** Of agents that speak OpenAI's API. */
import { inputSchema, png, user, type AgentRequest } from "./request.ts";

const chatTool = {
  type: "function",
  function: { name: "bash", description: "Runs a command.", parameters: inputSchema, strict: false },
};
const called = { id: "call_1", type: "function", function: { name: "bash", arguments: '{"command":"ls"}' } };
export const chatRequests: readonly AgentRequest[] = [
  {
    name: "opencode 1.18 with @ai-sdk/openai-compatible",
    path: "/v1/chat/completions",
    body: {
      model: "mock",
      max_tokens: 32_000,
      messages: [{ role: "system", content: "You are an agent." }, user],
      tools: [chatTool],
      tool_choice: "auto",
      stream: true,
      stream_options: { include_usage: true },
    },
    answer: "hello",
  },
  {
    name: "pi 0.73, after a call",
    path: "/v1/chat/completions",
    body: {
      model: "mock",
      messages: [
        { role: "developer", content: "You are an agent." },
        {
          role: "user",
          content: [
            { type: "text", text: "look" },
            { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } },
          ],
        },
        { role: "assistant", content: null, reasoning_content: "I look.", tool_calls: [called] },
        { role: "tool", content: "a.txt", tool_call_id: "call_1", name: "bash" },
      ],
      stream: true,
      stream_options: { include_usage: true },
      store: false,
      max_completion_tokens: 16_384,
      tools: [chatTool],
      reasoning_effort: "high",
    },
    answer: "a.txt",
  },
  {
    name: "Cline 3, after a call",
    path: "/v1/chat/completions",
    body: {
      model: "mock",
      messages: [
        { role: "system", content: "You are an agent." },
        { role: "user", content: [{ type: "text", text: "look" }] },
        { role: "assistant", content: null, tool_calls: [called] },
        { role: "tool", tool_call_id: "call_1", content: "a.txt" },
      ],
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
      tools: Array.from({ length: 25 }, (_, index) => ({
        type: "function",
        function: { ...chatTool.function, name: `tool_${index}` },
      })),
      tool_choice: "auto",
    },
    answer: "a.txt",
  },
  {
    name: "Qwen Code 0.24, after a call",
    path: "/v1/chat/completions",
    body: {
      model: "mock",
      messages: [
        { role: "system", content: "You are an agent." },
        {
          role: "user",
          content: ["<system-reminder>a</system-reminder>", "<system-reminder>b</system-reminder>", "hello"].map(
            (text) => ({
              type: "text",
              text,
            }),
          ),
        },
        { role: "assistant", content: null, tool_calls: [called] },
        {
          role: "tool",
          tool_call_id: "call_1",
          content: [
            { type: "text", text: "a.txt" },
            { type: "text", text: " b.txt" },
          ],
        },
      ],
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: 32_000,
      tools: [chatTool],
      metadata: { sessionId: "0", promptId: "1" },
      vl_high_resolution_images: true,
      enable_thinking: true,
    },
    answer: "a.txt",
  },
  {
    name: "the OpenAI client's own message, sent back with all its nulls",
    path: "/v1/chat/completions",
    body: {
      model: "mock",
      messages: [
        user,
        {
          role: "assistant",
          content: "hi",
          refusal: null,
          annotations: [],
          audio: null,
          function_call: null,
          tool_calls: [],
          reasoning: null,
          reasoning_details: [],
        },
        { ...user, name: null },
      ],
      temperature: null,
      top_p: null,
      n: null,
      stop: null,
      max_tokens: null,
      max_completion_tokens: null,
      seed: null,
      stream: null,
      stream_options: null,
      tools: null,
      tool_choice: null,
      parallel_tool_calls: null,
      response_format: null,
      reasoning_effort: null,
      logprobs: null,
      top_logprobs: null,
      user: null,
      logit_bias: null,
      metadata: null,
    },
    answer: "hello big world",
  },
  {
    name: "an assistant's call without content, as lists",
    path: "/v1/chat/completions",
    body: {
      model: "mock",
      messages: [
        user,
        { role: "assistant", content: [], tool_calls: [called] },
        { role: "tool", tool_call_id: "call_1", content: null },
        user,
      ],
      tools: [chatTool],
      stream_options: { include_usage: true, continuous_usage_stats: true },
      stream: true,
    },
    answer: "world",
  },
];
