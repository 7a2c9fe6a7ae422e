/** What Anthropic's API answers, for the document of the API: loaded when somebody asks for it. */
import * as z from "zod";

const usage = z.object({
  input_tokens: z.int().describe("Tokens of the conversation."),
  cache_creation_input_tokens: z.literal(0),
  cache_read_input_tokens: z.literal(0).describe("Always 0: tokens found in a cache are among `input_tokens`."),
  output_tokens: z.int().describe("Tokens of the answer so far."),
  output_tokens_details: z.object({ thinking_tokens: z.int().describe("Of these, those of thinking.") }),
});

const stopReason = z
  .enum(["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"])
  .describe("Why the answer ended.");
const stopSequence = z.union([z.string(), z.null()]).describe("The one of `stop_sequences` that ended it.");
const index = z.int().describe("Which block of the message.");

const head = {
  id: z.string().describe("`msg_` and the request id."),
  type: z.literal("message"),
  role: z.literal("assistant"),
  model: z.string().describe("The model that was asked for."),
};

const thinkingBlock = z.object({
  type: z.literal("thinking"),
  thinking: z.string().describe('Empty in a stream, where it comes in pieces, and with `thinking.display: "omitted"`.'),
  signature: z
    .string()
    .describe(
      "For clients that want one; nobody checks it. It holds the text where that is omitted. Empty in a stream, where it comes last.",
    ),
});
const textBlock = z.object({ type: z.literal("text"), text: z.string() });
const toolUse = z.object({
  type: z.literal("tool_use"),
  id: z.string(),
  name: z.string(),
  input: z
    .record(z.string(), z.unknown())
    .describe("Empty in a stream, where it comes in pieces, and if `max_tokens` has cut it."),
});

const message = z.object({
  ...head,
  content: z.array(z.union([thinkingBlock, textBlock, toolUse])).min(1),
  stop_reason: stopReason,
  stop_sequence: stopSequence,
  usage,
});

const modelInfo = z.object({
  type: z.literal("model"),
  id: z.string().describe("Its name."),
  display_name: z.string().describe("The same."),
  created_at: z.iso.datetime().describe("Since when it is served."),
  max_input_tokens: z.union([z.int(), z.null()]).describe("The least that one of its workers says; null if none does."),
  max_tokens: z.null(),
});

const name = z.union([z.string(), z.null()]);

const error = z.object({
  type: z.literal("error"),
  error: z.object({
    type: z.string(),
    message: z.string().describe("What is wrong, with names and limits."),
    details: z
      .record(z.string(), z.unknown())
      .optional()
      .describe(
        'Facts that an engine has given. If `thread` is wrong, `{"error_code": "thread_unsupported_request"}`: the official clients then send the whole conversation.',
      ),
  }),
  request_id: z.string().describe("As in the header `request-id`."),
});

export const anthropicAnswers: Readonly<Record<string, z.ZodType>> = {
  MessageUsage: usage,
  Message: message,
  MessageStart: z.object({
    type: z.literal("message_start"),
    message: z.object({
      ...head,
      content: z.array(z.unknown()).length(0),
      stop_reason: z.null(),
      stop_sequence: z.null(),
      usage,
    }),
  }),
  ContentBlockStart: z.object({
    type: z.literal("content_block_start"),
    index,
    content_block: z.union([thinkingBlock, textBlock, toolUse]),
  }),
  ContentBlockDelta: z.object({
    type: z.literal("content_block_delta"),
    index,
    delta: z.union([
      z.object({ type: z.literal("text_delta"), text: z.string() }),
      z.object({ type: z.literal("thinking_delta"), thinking: z.string() }),
      z.object({ type: z.literal("signature_delta"), signature: z.string() }),
      z.object({ type: z.literal("input_json_delta"), partial_json: z.string() }),
    ]),
  }),
  ContentBlockStop: z.object({ type: z.literal("content_block_stop"), index }),
  MessageDelta: z.object({
    type: z.literal("message_delta"),
    delta: z.object({ stop_reason: stopReason, stop_sequence: stopSequence }),
    usage,
  }),
  MessageStop: z.object({ type: z.literal("message_stop") }),
  Ping: z.object({ type: z.literal("ping") }),
  TokenCount: z.object({
    input_tokens: z.int().describe("What `usage.input_tokens` will say, unless the engine counts for itself."),
  }),
  ModelInfo: modelInfo,
  ModelInfoList: z.object({
    data: z.array(modelInfo),
    has_more: z.boolean().describe("There are more models beyond this page."),
    first_id: name,
    last_id: name,
  }),
  AnthropicError: error,
};
