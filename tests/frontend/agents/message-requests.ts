/** Of agents that speak Anthropic's API. */
import { ephemeral, inputSchema, png, user, type AgentRequest } from "./request.ts";

const claudeTools = [
  { name: "Bash", description: "Runs a command.", input_schema: inputSchema },
  { name: "DeferredToolPlaceholder", description: "Later.", input_schema: { type: "object" }, defer_loading: true },
  { type: "web_search_20250305", name: "web_search", max_uses: 8 },
];
const claudeHead = {
  model: "mock",
  max_tokens: 32_000,
  stream: true,
  metadata: { user_id: '{"device_id":"0"}' },
  thinking: { type: "adaptive", display: "omitted" },
  context_management: { edits: [{ type: "clear_thinking_20251015", keep: "all" }] },
  output_config: { effort: "high" },
  system: [
    { type: "text", text: "x-anthropic-billing-header: cc_version=2" },
    { type: "text", text: "You are an agent.", ...ephemeral },
  ],
  tools: claudeTools,
};
const claudeStart = [
  {
    role: "user",
    content: [
      { type: "text", text: "<system-reminder>be brief</system-reminder>" },
      { type: "text", text: "hello big world", ...ephemeral },
    ],
  },
  { role: "system", content: [{ type: "text", text: "# Environment", ...ephemeral }] },
];

export const messageRequests: readonly AgentRequest[] = [
  {
    name: "Claude Code 2.1.332, its first",
    path: "/v1/messages",
    body: { ...claudeHead, messages: claudeStart },
    answer: "hello big world",
  },
  {
    name: "Claude Code, with an older model",
    path: "/v1/messages",
    body: {
      ...claudeHead,
      thinking: { type: "enabled", budget_tokens: 31_999, display: "omitted" },
      messages: claudeStart.slice(0, 1),
    },
    answer: "hello big world",
  },
  {
    name: "Claude Code, with an image that was read, a tool that was found and one that failed",
    path: "/v1/messages",
    body: {
      ...claudeHead,
      messages: [
        ...claudeStart,
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "", signature: "dyn-1" },
            { type: "redacted_thinking", data: "0" },
            { type: "text", text: "I look." },
            ...["toolu_1", "toolu_2", "toolu_3"].map((id) => ({ type: "tool_use", id, name: "Bash", input: {} })),
          ],
        },
        {
          role: "user",
          content: [
            {
              type: "tool_result",
              tool_use_id: "toolu_1",
              content: [{ type: "image", source: { type: "base64", media_type: "image/png", data: png } }],
            },
            {
              type: "tool_result",
              tool_use_id: "toolu_2",
              content: [{ type: "tool_reference", tool_name: "WebFetch" }],
              is_error: false,
            },
            { type: "tool_result", tool_use_id: "toolu_3", content: "no such file", is_error: true, ...ephemeral },
          ],
        },
        { role: "system", content: "a reminder" },
      ],
    },
    answer: "no such file",
  },
  {
    name: "Claude Code, for its /context",
    path: "/v1/messages/count_tokens",
    body: { model: "mock", messages: [{ role: "user", content: "count" }], tools: claudeTools.slice(0, 1) },
    answer: '{"input_tokens":',
  },
  {
    name: "opencode with @ai-sdk/anthropic",
    path: "/v1/messages",
    body: {
      model: "mock",
      max_tokens: 32_000,
      system: [{ type: "text", text: "You are an agent.", ...ephemeral }],
      messages: [{ role: "user", content: [{ type: "text", text: "hello big world", ...ephemeral }] }],
      tools: [{ name: "bash", description: "Runs a command.", input_schema: inputSchema, eager_input_streaming: true }],
      tool_choice: { type: "auto" },
      cache_control: { type: "ephemeral" },
      stream: true,
    },
    answer: "hello big world",
  },
  {
    name: "pi with Anthropic's API, thinking",
    path: "/v1/messages",
    body: {
      model: "mock",
      max_tokens: 4_096,
      stream: true,
      thinking: { type: "enabled", budget_tokens: 3_072, display: "summarized" },
      system: [{ type: "text", text: "You are an agent.", ...ephemeral }],
      messages: [{ role: "user", content: [{ type: "text", text: "hello big world", ...ephemeral }] }],
      tools: [{ name: "bash", description: "", input_schema: inputSchema, eager_input_streaming: true, ...ephemeral }],
    },
    answer: "hello big world",
  },
  {
    name: "every block of Anthropic's API, in earlier turns",
    path: "/v1/messages",
    body: {
      model: "mock",
      max_tokens: 100,
      service_tier: "auto",
      thinking: { type: "between_tools" },
      messages: [
        {
          role: "user",
          content: [
            { type: "document", source: { type: "base64", media_type: "application/pdf", data: "JVBERi0=" } },
            {
              type: "document",
              source: { type: "text", media_type: "text/plain", data: "a" },
              citations: { enabled: true },
            },
            { type: "search_result", source: "x", title: "y", content: [{ type: "text", text: "b" }] },
            { type: "image", source: { type: "url", url: "https://example.com/a.png" } },
          ],
        },
        {
          role: "assistant",
          content: [
            { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "x" } },
            { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [] },
            { type: "web_fetch_tool_result", tool_use_id: "srvtoolu_2", content: {} },
            { type: "code_execution_tool_result", tool_use_id: "srvtoolu_3", content: {} },
            { type: "bash_code_execution_tool_result", tool_use_id: "srvtoolu_4", content: {} },
            { type: "text_editor_code_execution_tool_result", tool_use_id: "srvtoolu_5", content: {} },
            { type: "tool_search_tool_result", tool_use_id: "srvtoolu_6", content: {} },
            { type: "text", text: "done", citations: null },
            { type: "tool_use", id: "toolu_1", name: "f", input: {}, caller: { type: "direct" } },
          ],
        },
        {
          role: "user",
          content: [
            {
              type: "tool_result",
              tool_use_id: "toolu_1",
              content: [
                { type: "text", text: "fine" },
                { type: "search_result", source: "x", title: "y", content: [{ type: "text", text: "c" }] },
                { type: "browser_state", tabs: [] },
              ],
            },
            { type: "container_upload", file_id: "file_1" },
          ],
        },
        { role: "assistant", content: "ok" },
        user,
      ],
    },
    answer: "hello big world",
  },
];
