/** The fields of a chat request that are read; unknown ones are ignored, as the official API does. */
import type { Message } from "@dyn/runtime/llm";
import { maxTop, type ModelJob } from "@dyn/runtime/internal";
import * as z from "zod";
import { described, ruleOf, shaped } from "../inference/described.ts";
import { countLimit, listOf } from "../inference/field-kinds.ts";
import { checkLength, FieldError, modelName, parseFields, type FieldLimits } from "../inference/fields.ts";
import type { InferenceRequest } from "../inference/api.ts";
import type { FieldNames } from "../inference/extra.ts";
import { findMedia } from "../inference/media.ts";
import { contentOf, skipParts, textPart, toParts, toText, type Part } from "../inference/parts.ts";
import { otherChatFields } from "./other-fields.ts";
import { mediaParts } from "./parts.ts";
import { checkToolChoice } from "../inference/tool-choice.ts";
import { lengthFields, toLength } from "./length-fields.ts";
import { effortField, toReasoning, toReasoningText } from "./reasoning.ts";
import {
  answerFields,
  onlyOfStreams,
  samplingFields,
  stopField,
  toSampling,
  toStop,
  toUsageOptions,
  type UsageOptions,
} from "./sampling.ts";
import { responseFormatField, toResponseFormat } from "./response-format.ts";
import { toolCallsField, toolChoiceField, toolsField, toTools } from "./tools.ts";

const refusalPart = z
  .object({ refusal: z.string() })
  .transform(({ refusal }): Part => ({ type: "refusal", text: refusal }));
const content = contentOf(
  { text: textPart, refusal: refusalPart, ...mediaParts },
  "must be a string or a list of parts",
);

/** Theirs may say nothing: a call of a tool, a result without text. */
const silentRoles: ReadonlySet<string> = new Set(["assistant", "tool", "function"]);

const fields = z.object({
  role: z.enum(["system", "developer", "user", "assistant", "tool", "function"]),
  content: described(
    "A text, or a list of parts. Parts that the model does not read are skipped in earlier turns; in what the user asks last they are a 400. May be missing or empty from an assistant, a tool and a function.",
    content.nullish(),
  ),
  name: described("Who speaks, for the engine.", z.string().nullish()),
  tool_calls: described("Of an assistant: what it has called.", toolCallsField.nullish()),
  reasoning_content: described(
    "Of an assistant: what it thought, for the engine.",
    z.unknown().transform(toReasoningText).optional(),
  ),
  reasoning: described("Another name of `reasoning_content`.", z.unknown().transform(toReasoningText).optional()),
  tool_call_id: described("Of a tool: the call that this is the result of.", z.string().nullish()),
});

const message = shaped(
  fields.check(({ value: { role, content: given }, issues }) => {
    if (silentRoles.has(role) || typeof given === "string") return;
    const [input, path] = [given, ["content"]];
    if (given == null) issues.push({ code: "custom", message: "must be a string or a list of parts", input, path });
    else if (given.length === 0)
      issues.push({ code: "too_small", origin: "array", minimum: 1, inclusive: true, input: [], path });
  }),
  () =>
    ruleOf(
      { properties: { role: { not: { enum: [...silentRoles] } } }, required: ["role"] },
      { properties: { content: { type: ["string", "array"], minItems: 1 } }, required: ["content"] },
    ),
);

const chatRequest = z.object({
  model: modelName,
  messages: described("The conversation so far, the oldest message first.", listOf(message, { min: 1 })),
  ...answerFields,
  max_completion_tokens: described(
    "Most tokens of each completion. Unless given, the engine decides.",
    countLimit().nullish(),
  ),
  max_tokens: described("The older name of `max_completion_tokens`, which wins.", countLimit().nullish()),
  ...lengthFields,
  stop: stopField,
  ...samplingFields,
  tools: described("Tools that the engine may call. Kinds that are not known are left out.", toolsField.nullish()),
  tool_choice: described(
    "Whether and what the engine calls: `auto` unless given. A tool that it names must be in `tools`.",
    toolChoiceField.nullish(),
  ),
  response_format: described("The form that the text must have; `text` unless given.", responseFormatField.nullish()),
  reasoning_effort: described(
    "How much the model thinks before it answers: `none`, `minimal`, `low`, `medium`, `high` or another word that its engine knows. Ignored for a model that does not think.",
    effortField.nullish(),
  ),
  parallel_tool_calls: described("False: at most one call.", z.boolean().nullish()),
  logprobs: described("True: how likely each token was. A 501 where the engine does not say.", z.boolean().nullish()),
  top_logprobs: described(
    "How many of the likeliest tokens are told for each place. Allowed only with `logprobs: true`.",
    z.int().min(0).max(maxTop).nullish(),
  ),
});

/** For the document of the API. */
export const chatRequestSchema: z.ZodType = shaped(chatRequest, onlyOfStreams);

export const chatFields: FieldNames = {
  read: new Set(Object.keys(chatRequest.shape)),
  others: otherChatFields,
  elsewhere: new Map([
    ["input", "messages"],
    ["prompt", "messages"],
    ["text", "response_format"],
    ["reasoning", "reasoning_effort"],
    ["max_output_tokens", "max_completion_tokens"],
  ]),
};

type ChatBody = z.infer<typeof chatRequest>;

export type ChatRequest = InferenceRequest & UsageOptions;

/** @throws FieldError naming the first field that is wrong. */
export function parseChatRequest(body: unknown, { maxMessages, maxCompletions }: FieldLimits): ChatRequest {
  const chat = parseFields(chatRequest, body);
  checkLength("messages", chat.messages, maxMessages);
  if ((chat.n ?? 1) > maxCompletions)
    throw new FieldError("n", `must be at most ${maxCompletions}`, "integer_above_max_value");
  if (chat.stream_options && chat.stream !== true)
    throw new FieldError("stream_options", "is only allowed when stream is true");
  if (chat.top_logprobs && chat.logprobs !== true)
    throw new FieldError("top_logprobs", "is only allowed when logprobs is true");
  return {
    stream: chat.stream === true,
    ...toUsageOptions(chat.stream_options),
    job: toJob(chat),
    skipped: skipParts(chat.messages),
    media: findMedia(chat.messages),
  };
}

function toJob(chat: ChatBody): ModelJob {
  const tools = toTools(chat.tools ?? []);
  checkToolChoice(chat.tool_choice ?? undefined, tools);
  const responseFormat = toResponseFormat(chat.response_format);
  const maxTokens = chat.max_completion_tokens ?? chat.max_tokens ?? undefined;
  return {
    model: chat.model,
    messages: chat.messages.map(toMessage),
    stop: toStop(chat.stop),
    ...toLength(chat, maxTokens),
    ...(chat.n != null && chat.n > 1 && { n: chat.n }),
    sampling: toSampling(chat),
    ...(tools.length > 0 && { tools }),
    ...(chat.tool_choice != null && { toolChoice: chat.tool_choice }),
    ...(responseFormat && { responseFormat }),
    ...(chat.reasoning_effort != null && { reasoning: toReasoning(chat.reasoning_effort) }),
    ...(chat.logprobs === true && { logprobs: { top: chat.top_logprobs ?? 0 } }),
    ...(chat.parallel_tool_calls != null && { parallelToolCalls: chat.parallel_tool_calls }),
  };
}

function toMessage({
  role,
  content: given,
  name,
  tool_calls: calls,
  tool_call_id: id,
  reasoning_content: thought,
  reasoning = thought,
}: z.infer<typeof fields>): Message {
  const toolCalls = calls?.filter((call) => call !== undefined) ?? [];
  const parts = toParts(given);
  return {
    role: role === "function" ? "tool" : role,
    text: toText(given),
    ...(parts && { parts }),
    ...(name != null && { name }),
    ...(toolCalls.length > 0 && { toolCalls }),
    ...(id != null && { toolCallId: id }),
    ...(reasoning !== undefined && { reasoning }),
  };
}
