/** What is said of the routes of responses. */
import { inferenceCodes, toExample, toWords } from "./inference-words.ts";
import { toIdParameter } from "./other-words.ts";
import type { RouteWords, StreamEvent } from "./words.ts";

const id = "0f4ac56e-5bd1-4657-bf8b-39cdcde9036b";
const part = { type: "output_text", text: "hello world", annotations: [], logprobs: [] };
const item = { id: `msg_${id}_0`, type: "message", status: "completed", role: "assistant", content: [part] };
const response = {
  id: `resp_${id}`,
  object: "response",
  created_at: 1_795_792_643,
  model: "mock",
  previous_response_id: null,
  instructions: null,
  tools: [],
  tool_choice: "auto",
  truncation: "disabled",
  parallel_tool_calls: true,
  text: { format: { type: "text" } },
  top_p: 1,
  presence_penalty: 0,
  frequency_penalty: 0,
  top_logprobs: 0,
  temperature: 1,
  reasoning: { effort: null, summary: null },
  max_output_tokens: null,
  max_tool_calls: null,
  store: true,
  background: false,
  service_tier: "default",
  metadata: {},
  safety_identifier: null,
  prompt_cache_key: null,
  user: null,
  status: "completed",
  completed_at: 1_795_792_644,
  incomplete_details: null,
  error: null,
  output: [item],
  usage: {
    input_tokens: 2,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: 2,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 4,
  },
};
const begun = { ...response, status: "in_progress", completed_at: null, output: [], usage: null };
const at = { item_id: item.id, output_index: 0, content_index: 0 };

const ofResponse = (event: string, when: string): StreamEvent => ({ event, data: { schema: "ResponseEvent" }, when });
const ofItem = (event: string, when: string): StreamEvent => ({ event, data: { schema: "ResponseItemEvent" }, when });

const events: readonly StreamEvent[] = [
  ofResponse("response.created", "once, at the beginning"),
  ofResponse("response.in_progress", "once, after it"),
  ofItem("response.output_item.added", "at the beginning of each item of the output"),
  ofItem("response.content_part.added", "before the text of a message"),
  ofItem("response.output_text.delta", "for each piece of it"),
  ofItem("response.output_text.done", "after it"),
  ofItem("response.content_part.done", "after it"),
  ofItem("response.reasoning_summary_part.added", "before what the model thinks"),
  ofItem("response.reasoning_summary_text.delta", "for each piece of it"),
  ofItem("response.reasoning_summary_text.done", "after it"),
  ofItem("response.reasoning_summary_part.done", "after it"),
  ofItem("response.function_call_arguments.delta", "for each piece of the arguments of a call"),
  ofItem("response.function_call_arguments.done", "after them"),
  ofItem("response.custom_tool_call_input.delta", "for each piece of the input of a custom tool"),
  ofItem("response.custom_tool_call_input.done", "after it"),
  ofItem("response.output_item.done", "at the end of each item"),
  ofResponse("response.completed", "at the end of an answer that is whole"),
  ofResponse("response.incomplete", "at the end of one that has been cut"),
  ofResponse("response.failed", "at the end of one that has failed"),
];

const example: readonly (readonly [string, object])[] = [
  ["response.created", { response: begun }],
  ["response.in_progress", { response: begun }],
  ["response.output_item.added", { output_index: 0, item: { ...item, status: "in_progress", content: [] } }],
  ["response.content_part.added", { ...at, part: { ...part, text: "" } }],
  ["response.output_text.delta", { ...at, delta: "hello world", logprobs: [] }],
  ["response.output_text.done", { ...at, text: "hello world", logprobs: [] }],
  ["response.content_part.done", { ...at, part }],
  ["response.output_item.done", { output_index: 0, item }],
  ["response.completed", { response }],
];

const kept = "A frontend keeps the latest, each for the key that asked for it (`--kept-responses`).";
const idParameter = toIdParameter("The id of the response, `resp_…`.");

export const responseWords: Readonly<Record<string, RouteWords>> = {
  "POST /v1/responses": toWords({
    id: "createResponse",
    tag: "OpenAI",
    summary: "Go on with a conversation, item by item",
    shape: "openai",
    body: {
      schema: "ResponseRequest",
      examples: {
        "in one piece": { model: "mock", input: "hello world" },
        "a stream": { model: "mock", input: [{ role: "user", content: "hello world" }], stream: true },
      },
    },
    json: "Response",
    example: response,
    stream: {
      events,
      example: toExample(example.map(([type, fields], n) => [type, { type, sequence_number: n, ...fields }])),
    },
  }),
  "POST /v1/responses/compact": {
    id: "compactResponse",
    tag: "OpenAI",
    summary: "Put a summary in the place of a conversation",
    description:
      "The model is asked for the summary. What the user said stays as it was; the summary is in `encrypted_content`, which is not encrypted. Both together are the beginning of the `input` to go on with.",
    headers: ["RequestTimeout", "WorkerInstance", "PrefillInstance", "ContentEncoding"],
    body: { schema: "ResponseRequest", examples: { "a text": { model: "mock", input: "hello world" } } },
    answers: [
      {
        status: 200,
        description: "What to go on with.",
        json: "Compaction",
        example: {
          id: `resp_${id}`,
          object: "response.compaction",
          created_at: 1_795_792_643,
          output: [
            {
              id: `msg_${id}_0`,
              type: "message",
              status: "completed",
              role: "user",
              content: [{ type: "input_text", text: "hello world" }],
            },
            { id: `cmp_${id}`, type: "compaction", encrypted_content: "dyn1.aGVsbG8gd29ybGQ=" },
          ],
          usage: response.usage,
        },
      },
    ],
    shape: "openai",
    codes: inferenceCodes,
  },
  "POST /v1/responses/input_tokens": {
    id: "countInputTokens",
    tag: "OpenAI",
    summary: "Count the tokens of a request for a response",
    description: "A worker is asked if its engine counts; else words are counted, as in `usage`.",
    headers: ["RequestTimeout", "ContentEncoding"],
    body: { schema: "ResponseRequest", examples: { "a text": { model: "mock", input: "hello world" } } },
    answers: [
      {
        status: 200,
        description: "The count.",
        json: "InputTokens",
        example: { object: "response.input_tokens", input_tokens: 2 },
      },
    ],
    shape: "openai",
    codes: inferenceCodes,
  },
  "GET /v1/responses/{id}": {
    id: "getResponse",
    tag: "OpenAI",
    summary: "Show a response that is kept",
    description: `${kept} With \`store: false\` none is.`,
    parameters: [idParameter],
    answers: [{ status: 200, description: "The response.", json: "Response" }],
    shape: "openai",
    codes: ["unknown_request"],
  },
  "DELETE /v1/responses/{id}": {
    id: "deleteResponse",
    tag: "OpenAI",
    summary: "Keep a response no longer",
    description: "Those that went on from it stay.",
    parameters: [idParameter],
    answers: [{ status: 200, description: "It is gone.", json: "DeletedResponse" }],
    shape: "openai",
    codes: ["unknown_request"],
  },
  "POST /v1/responses/{id}/cancel": {
    id: "cancelResponse",
    tag: "OpenAI",
    summary: "Always refused",
    description:
      "Only responses of the background can be cancelled, and there are none: close the connection of one that runs.",
    parameters: [idParameter],
    answers: [],
    shape: "openai",
    codes: ["unknown_request"],
  },
};
