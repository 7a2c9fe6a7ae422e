/** A tool, two calls of it as an engine yields them, and as clients of both APIs see them. */
import type Anthropic from "@anthropic-ai/sdk";
import type { Delta } from "@dyn/runtime/llm";

export const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] } as const;
export const messages = [{ role: "user" as const, content: "what is the weather?" }];
export const chatTool = {
  type: "function",
  function: { name: "weather", description: "of today", parameters: schema, strict: true },
} as const;
export const tool: Anthropic.Tool = {
  name: "weather",
  description: "of today",
  input_schema: { ...schema, required: ["city"] },
};
export const neutral = { name: "weather", kind: "function", description: "of today", parameters: schema };

/** A text and two calls, the arguments of the first in pieces. */
export const calls: readonly Delta[] = [
  { text: "let me see" },
  { text: "", toolCalls: [{ index: 0, name: "weather", id: "call_1" }] },
  { text: "", toolCalls: [{ index: 0, arguments: '{"city":"Ly' }] },
  {
    text: "",
    toolCalls: [
      { index: 0, arguments: 'on 😀"}' },
      { index: 1, name: "weather", id: "call_2", arguments: '{"city":"Köln"}' },
    ],
  },
];
export const wanted = [
  { id: "call_1", type: "function", function: { name: "weather", arguments: '{"city":"Lyon 😀"}' } },
  { id: "call_2", type: "function", function: { name: "weather", arguments: '{"city":"Köln"}' } },
];
export const blocks = [
  { type: "text", text: "let me see" },
  { type: "tool_use", id: "toolu_1", name: "weather", input: { city: "Lyon 😀" } },
  { type: "tool_use", id: "toolu_2", name: "weather", input: { city: "Köln" } },
];
