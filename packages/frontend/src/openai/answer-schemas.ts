/** What OpenAI's API answers, for the document of the API: loaded when somebody asks for it. */
import * as z from "zod";

type Fields = Readonly<Record<string, z.ZodType>>;

const finishReason = z
  .enum(["stop", "length", "tool_calls", "content_filter"])
  .describe("`stop`: the engine was done, or a stop text came. `length`: `max_tokens`, or the engine's own limit.");
const lastReason = z.union([finishReason, z.null()]).describe("In the last chunk of a choice.");

const usage = z.object({
  prompt_tokens: z.int().describe("Tokens of the prompts."),
  completion_tokens: z.int().describe("Tokens of all completions."),
  total_tokens: z.int(),
  prompt_tokens_details: z.object({
    cached_tokens: z.int().describe("Tokens that the engine found in its cache; 0 if it does not say."),
  }),
  completion_tokens_details: z.object({ reasoning_tokens: z.int().describe("Tokens of thinking.") }),
});

/** An answer whose id begins with `prefix`. */
function toAnswer(prefix: string, object: string, more: Fields): z.ZodType {
  return z.object({
    id: z.string().describe(`\`${prefix}-\` and the request id.`),
    object: z.literal(object),
    created: z.int().describe("Unix time in seconds."),
    model: z.string().describe("The model that was asked for."),
    ...more,
  });
}

function toChoice(logprobs: z.ZodType, more: Fields): z.ZodType {
  return z.object({
    index: z.int(),
    logprobs: z.union([logprobs, z.null()]).describe("Null unless asked for."),
    ...more,
  });
}

const logprob = z.number().describe("Natural logarithm of its probability; -9999 for none.");
const likely = { token: z.string(), logprob, bytes: z.array(z.int()).describe("Its bytes in UTF-8.") };
const chatLogprobs = z.object({
  content: z
    .array(z.object({ ...likely, top_logprobs: z.array(z.object(likely)).describe("The likeliest of its place.") }))
    .describe("One for each token of the text."),
  refusal: z.null(),
});
const textLogprobs = z.object({
  tokens: z.array(z.string()).describe("With `echo` those of the prompt come first."),
  token_logprobs: z.array(z.union([logprob, z.null()])).describe("Null for the first of a prompt."),
  top_logprobs: z
    .array(z.union([z.record(z.string(), z.number()), z.null()]))
    .describe("The likeliest of its place, and the token itself."),
  text_offset: z.array(z.int()).describe("Where each token begins in the text, characters."),
});

/** What a chunk has besides, of a choice that is as `choice` says. */
function inChunks(choice: z.ZodType): Fields {
  return {
    choices: z.array(choice).max(1).describe("One, or none in the chunk of the counts."),
    usage: z
      .union([usage, z.null()])
      .optional()
      .describe("With `stream_options.include_usage`: null, and the counts in the last chunk."),
  };
}

const called = z.object({ name: z.string(), arguments: z.string().describe("JSON, as far as it goes.") });
const calledCustom = z.object({ name: z.string(), input: z.string() });
const toolCall = z.union([
  z.object({ id: z.string(), type: z.literal("function"), function: called }),
  z.object({ id: z.string(), type: z.literal("custom"), custom: calledCustom }),
]);
const message = z.object({
  role: z.literal("assistant"),
  content: z.union([z.string(), z.null()]).describe("Null if it calls tools and says nothing."),
  refusal: z.null(),
  reasoning_content: z.string().optional().describe("What the model thought, if it did and shows it."),
  tool_calls: z.array(toolCall).min(1).optional().describe("If it calls tools."),
});
const toolCallPiece = z.object({
  index: z.int().describe("Which call of the choice."),
  id: z.string().optional().describe("In the first piece of a call, as `type` and `name`."),
  type: z.enum(["function", "custom"]).optional(),
  function: called.partial({ name: true }).optional(),
  custom: calledCustom.partial({ name: true }).optional(),
});
const delta = z.object({
  role: z.literal("assistant").optional().describe("In the first chunk of a choice."),
  content: z.union([z.string(), z.null()]).optional(),
  reasoning_content: z.string().optional().describe("What is added to the model's thinking."),
  tool_calls: z.array(toolCallPiece).length(1).optional(),
});
const text = z.string();

const embedding = z.object({
  object: z.literal("embedding"),
  index: z.int().describe("Which input."),
  embedding: z
    .union([z.array(z.number()), z.string()])
    .describe("Numbers, or their bytes in base64: 32-bit floats, little-endian."),
});

const modelObject = z.object({
  id: z.string().describe("Its name."),
  object: z.literal("model"),
  created: z.int().describe("Since when it is served: Unix time in seconds."),
  owned_by: z.literal("dyn"),
  context_window: z.int().optional().describe("Tokens, the least that one of its workers says; missing if none does."),
});

const error = z.object({
  error: z.object({
    message: z.string().describe("What is wrong, with names and limits."),
    type: z.string(),
    param: z.union([z.string(), z.null()]).describe("The field that is wrong, such as `messages[0].content`."),
    code: z.union([z.string(), z.null()]),
    details: z.record(z.string(), z.unknown()).optional().describe("Facts that an engine has given."),
  }),
});

export const openaiAnswers: Readonly<Record<string, z.ZodType>> = {
  Usage: usage,
  ChatCompletion: toAnswer("chatcmpl", "chat.completion", {
    choices: z.array(toChoice(chatLogprobs, { message, finish_reason: finishReason })),
    usage,
  }),
  ChatCompletionChunk: toAnswer(
    "chatcmpl",
    "chat.completion.chunk",
    inChunks(toChoice(chatLogprobs, { delta, finish_reason: lastReason })),
  ),
  Completion: toAnswer("cmpl", "text_completion", {
    choices: z
      .array(toChoice(textLogprobs, { text, finish_reason: finishReason }))
      .describe("Those of the first prompt, then those of the next."),
    usage,
  }),
  CompletionChunk: toAnswer(
    "cmpl",
    "text_completion",
    inChunks(toChoice(textLogprobs, { text, finish_reason: lastReason })),
  ),
  EmbeddingList: z.object({
    object: z.literal("list"),
    data: z.array(embedding).describe("In the order of the inputs."),
    model: z.string().describe("The model that was asked for."),
    usage: usage.pick({ prompt_tokens: true, total_tokens: true }),
  }),
  Model: modelObject,
  ModelList: z.object({ object: z.literal("list"), data: z.array(modelObject) }),
  OpenAIError: error,
};
