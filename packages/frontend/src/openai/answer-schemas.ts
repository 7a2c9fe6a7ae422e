/** What OpenAI's API answers, for the document of the API: loaded when somebody asks for it. */
import * as z from "zod";

const created = z.int().describe("Unix time in seconds.");
const finishReason = z
  .enum(["stop", "length", "tool_calls", "content_filter"])
  .describe("`stop`: the engine was done, or a stop text came. `length`: `max_tokens`, or the engine's own limit.");
const model = z.string().describe("The model that was asked for.");

const usage = z.object({
  prompt_tokens: z.int().describe("Tokens of the prompts."),
  completion_tokens: z.int().describe("Tokens of all completions."),
  total_tokens: z.int(),
  prompt_tokens_details: z
    .object({ cached_tokens: z.int().describe("Tokens that the engine found in its cache.") })
    .optional()
    .describe("Only if the engine says so."),
});

const chatCompletion = z.object({
  id: z.string().describe("`chatcmpl-` and the request id."),
  object: z.literal("chat.completion"),
  created,
  model,
  choices: z.array(
    z.object({
      index: z.int(),
      message: z.object({ role: z.literal("assistant"), content: z.string(), refusal: z.null() }),
      logprobs: z.null(),
      finish_reason: finishReason,
    }),
  ),
  usage,
});

const chunkUsage = z
  .union([usage, z.null()])
  .optional()
  .describe("With `stream_options.include_usage`: null, and the counts in the last chunk.");

const chatCompletionChunk = z.object({
  id: z.string().describe("`chatcmpl-` and the request id."),
  object: z.literal("chat.completion.chunk"),
  created,
  model,
  choices: z
    .array(
      z.object({
        index: z.int(),
        delta: z.object({
          role: z.literal("assistant").optional().describe("In the first chunk of a choice."),
          content: z.string().optional(),
        }),
        logprobs: z.null(),
        finish_reason: z.union([finishReason, z.null()]).describe("In the last chunk of a choice."),
      }),
    )
    .max(1)
    .describe("One, or none in the chunk of the counts."),
  usage: chunkUsage,
});

const textChoice = { text: z.string(), index: z.int(), logprobs: z.null() };

const completion = z.object({
  id: z.string().describe("`cmpl-` and the request id."),
  object: z.literal("text_completion"),
  created,
  model,
  choices: z
    .array(z.object({ ...textChoice, finish_reason: finishReason }))
    .describe("Those of the first prompt, then those of the next."),
  usage,
});

const completionChunk = z.object({
  id: z.string().describe("`cmpl-` and the request id."),
  object: z.literal("text_completion"),
  created,
  model,
  choices: z
    .array(
      z.object({
        ...textChoice,
        finish_reason: z.union([finishReason, z.null()]).describe("In the last chunk of a choice."),
      }),
    )
    .max(1)
    .describe("One, or none in the chunk of the counts."),
  usage: chunkUsage,
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
  }),
});

export const openaiAnswers: Readonly<Record<string, z.ZodType>> = {
  Usage: usage,
  ChatCompletion: chatCompletion,
  ChatCompletionChunk: chatCompletionChunk,
  Completion: completion,
  CompletionChunk: completionChunk,
  Model: modelObject,
  ModelList: z.object({ object: z.literal("list"), data: z.array(modelObject) }),
  OpenAIError: error,
};
