/** What is said of the routes that take a conversation. */
import type { ErrorCode } from "@dyn/runtime";
import { errorTable } from "@dyn/runtime/internal";
import type { EventStreamWords, RouteWords, StreamEvent } from "./words.ts";

// Nobody reads the answer of a request that is cancelled. The others belong to other routes, or are added where a key is asked for.
const elsewhere: readonly string[] = [
  "unauthenticated",
  "unknown_route",
  "unknown_request",
  "method_not_allowed",
  "misdirected",
  "cancelled",
] satisfies readonly ErrorCode[];
/** All that may become of a request that workers are asked for. */
export const inferenceCodes: readonly ErrorCode[] = (Object.keys(errorTable) as ErrorCode[]).filter(
  (code) => !elsewhere.includes(code),
); // its keys

const id = "0f4ac56e-5bd1-4657-bf8b-39cdcde9036b";
const created = 1_795_792_643;
const usage = {
  prompt_tokens: 2,
  completion_tokens: 2,
  total_tokens: 4,
  prompt_tokens_details: { cached_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0 },
};
const messages = [{ role: "user", content: "hello world" }];

const ignored = "Fields that are not listed are ignored.";
const handedOn = "Fields that are not listed are handed to the engine.";
const streaming =
  "The headers of a stream leave with its first token. A failure before that is a plain error with its own status; a failure after it is an error event, the last of the stream. A stream that is silent for 10 s (`--sse-keep-alive-ms`) is sent something that clients skip; its headers may leave with that.";

function toStream(schema: string): readonly StreamEvent[] {
  return [
    { data: { schema }, when: "for each batch of tokens" },
    { data: { text: "[DONE]" }, when: "at the end of an answer that is whole" },
    { data: { schema: "OpenAIError" }, when: "at the end of an answer that has failed, in place of `[DONE]`" },
  ];
}

const messageEvents: readonly StreamEvent[] = [
  { event: "message_start", data: { schema: "MessageStart" }, when: "once, at the beginning" },
  { event: "content_block_start", data: { schema: "ContentBlockStart" }, when: "once, before the text" },
  { event: "ping", data: { schema: "Ping" }, when: "before the text, and in silence, even before `message_start`" },
  { event: "content_block_delta", data: { schema: "ContentBlockDelta" }, when: "for each batch of tokens" },
  { event: "content_block_stop", data: { schema: "ContentBlockStop" }, when: "once, after the text" },
  { event: "message_delta", data: { schema: "MessageDelta" }, when: "once, with the reason of the end and the counts" },
  { event: "message_stop", data: { schema: "MessageStop" }, when: "at the end of an answer that is whole" },
  { event: "error", data: { schema: "AnthropicError" }, when: "at the end of an answer that has failed" },
];

export function toExample(events: readonly (readonly [event: string | undefined, data: unknown])[]): string {
  return events
    .map(([event, data]) => {
      const line = `data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`;
      return event === undefined ? line : `event: ${event}\n${line}`;
    })
    .join("");
}

export interface Inference extends Omit<RouteWords, "description" | "headers" | "answers" | "codes"> {
  readonly json: string;
  readonly example: unknown;
  readonly stream: EventStreamWords;
}

export function toWords({ json, example, stream, ...words }: Inference): RouteWords {
  return {
    ...words,
    description: `${handedOn} ${streaming}`,
    headers: ["RequestTimeout", "WorkerInstance", "PrefillInstance", "ContentEncoding"],
    answers: [{ status: 200, description: "The answer, in one piece or as a stream.", json, example, stream }],
    codes: inferenceCodes,
  };
}

function toChunk(delta: unknown, reason: string | null = null): unknown {
  const choices = [{ index: 0, delta, logprobs: null, finish_reason: reason }];
  return { id: `chatcmpl-${id}`, object: "chat.completion.chunk", created, model: "mock", choices };
}

const chat = toWords({
  id: "createChatCompletion",
  tag: "OpenAI",
  summary: "Go on with a conversation",
  shape: "openai",
  body: {
    schema: "ChatRequest",
    examples: { "in one piece": { model: "mock", messages }, "a stream": { model: "mock", messages, stream: true } },
  },
  json: "ChatCompletion",
  example: {
    id: `chatcmpl-${id}`,
    object: "chat.completion",
    created,
    model: "mock",
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: "hello world", refusal: null },
        logprobs: null,
        finish_reason: "stop",
      },
    ],
    usage,
  },
  stream: {
    events: toStream("ChatCompletionChunk"),
    example: toExample([
      [undefined, toChunk({ role: "assistant", content: "" })],
      [undefined, toChunk({ content: "hello" })],
      [undefined, toChunk({ content: " world" })],
      [undefined, toChunk({}, "stop")],
      [undefined, "[DONE]"],
    ]),
  },
});

function toCompletion(text: string, reason: string | null): Record<string, unknown> {
  const choices = [{ text, index: 0, logprobs: null, finish_reason: reason }];
  return { id: `cmpl-${id}`, object: "text_completion", created, model: "mock", choices };
}

const completions = toWords({
  id: "createCompletion",
  tag: "OpenAI",
  summary: "Go on with a text",
  shape: "openai",
  body: {
    schema: "CompletionRequest",
    examples: { "a text": { model: "mock", prompt: "hello world" }, "token ids": { model: "mock", prompt: [1, 2] } },
  },
  json: "Completion",
  example: { ...toCompletion("hello world", "stop"), usage },
  stream: {
    events: toStream("CompletionChunk"),
    example: toExample([
      [undefined, toCompletion("hello", null)],
      [undefined, toCompletion(" world", "stop")],
      [undefined, "[DONE]"],
    ]),
  },
});

const embeddings: RouteWords = {
  id: "createEmbedding",
  tag: "OpenAI",
  summary: "Turn texts into vectors",
  description: `A model that makes no embeddings is a 501. ${ignored}`,
  headers: ["RequestTimeout", "WorkerInstance", "ContentEncoding"],
  body: {
    schema: "EmbeddingsRequest",
    examples: {
      "a text": { model: "mock", input: "hello world" },
      "several texts": { model: "mock", input: ["hello world", "good night"], encoding_format: "base64" },
    },
  },
  answers: [
    {
      status: 200,
      description: "The vectors.",
      json: "EmbeddingList",
      example: {
        object: "list",
        data: [{ object: "embedding", index: 0, embedding: [0.6, -0.8] }],
        model: "mock",
        usage: { prompt_tokens: 2, total_tokens: 2 },
      },
    },
  ],
  shape: "openai",
  codes: inferenceCodes,
};

const messageUsage = {
  input_tokens: 2,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  output_tokens: 2,
  output_tokens_details: { thinking_tokens: 0 },
};
const stop = { stop_reason: "end_turn", stop_sequence: null };
const head = { id: `msg_${id}`, type: "message", role: "assistant", model: "mock" };

function toDelta(text: string): readonly [string, unknown] {
  const type = "content_block_delta";
  return [type, { type, index: 0, delta: { type: "text_delta", text } }];
}

const anthropicMessages = toWords({
  id: "createMessage",
  tag: "Anthropic",
  summary: "Go on with a conversation",
  shape: "anthropic",
  body: {
    schema: "MessagesRequest",
    examples: {
      "in one piece": { model: "mock", max_tokens: 100, messages },
      "a stream": { model: "mock", max_tokens: 100, messages, stream: true },
    },
  },
  json: "Message",
  example: { ...head, content: [{ type: "text", text: "hello world" }], ...stop, usage: messageUsage },
  stream: {
    events: messageEvents,
    example: toExample([
      [
        "message_start",
        {
          type: "message_start",
          message: {
            ...head,
            content: [],
            stop_reason: null,
            stop_sequence: null,
            usage: { ...messageUsage, output_tokens: 0 },
          },
        },
      ],
      ["content_block_start", { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }],
      ["ping", { type: "ping" }],
      toDelta("hello"),
      toDelta(" world"),
      ["content_block_stop", { type: "content_block_stop", index: 0 }],
      ["message_delta", { type: "message_delta", delta: stop, usage: messageUsage }],
      ["message_stop", { type: "message_stop" }],
    ]),
  },
});

const countTokens: RouteWords = {
  id: "countTokens",
  tag: "Anthropic",
  summary: "Count the tokens of a conversation",
  description: `A worker is asked if its engine counts; else words are counted, as in \`usage\`. ${ignored}`,
  headers: ["RequestTimeout", "ContentEncoding"],
  body: { schema: "CountRequest", examples: { "a conversation": { model: "mock", messages } } },
  answers: [{ status: 200, description: "The count.", json: "TokenCount", example: { input_tokens: 2 } }],
  shape: "anthropic",
  codes: inferenceCodes,
};

export const inferenceWords: Readonly<Record<string, RouteWords>> = {
  "POST /v1/chat/completions": chat,
  "POST /v1/completions": completions,
  "POST /v1/embeddings": embeddings,
  "POST /v1/messages": anthropicMessages,
  "POST /v1/messages/count_tokens": countTokens,
};
