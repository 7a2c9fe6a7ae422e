/** The fields of a chat request that are read; unknown ones are ignored, as the official API does. */
import type { Message, ModelJob } from "@dyn/runtime/llm";
import * as z from "zod";
import { checkLength, countLimit, FieldError, listOf, parseFields, unsupported, unsupportedKind, type FieldLimits } from "../fields.ts";
import type { InferenceRequest } from "../inference.ts";
import { maxN, samplingFields, stopField, toSampling, toStop } from "./sampling.ts";

const textPart = z.object({ type: z.literal("text"), text: z.string() });
const refusalPart = z.object({ type: z.literal("refusal"), refusal: z.string() });
const part = z.discriminatedUnion("type", [textPart, refusalPart], unsupportedKind("text", "refusal"));
const content = z.union([z.string(), listOf(part, { min: 1 })], { error: "must be a string or a list of parts" });

const message = z
  .object({
    role: z.enum(["system", "developer", "user", "assistant", "tool", "function"]),
    content: content.nullish(),
    name: z.string().nullish(),
  })
  .refine(({ role, content: given }) => role === "assistant" || given != null, {
    path: ["content"],
    error: "must be a string or a list of parts",
  });

const chatRequest = z.object({
  model: z.string().min(1).max(256),
  messages: listOf(message, { min: 1 }),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: countLimit.nullish(),
  max_completion_tokens: countLimit.nullish(),
  stop: stopField,
  ...samplingFields,
  tools: z.array(z.unknown()).nullish(),
  tool_choice: z.unknown().optional(),
  n: z.int().min(1).max(maxN).nullish(),
  logprobs: z.literal(false, unsupported).nullish(),
  top_logprobs: z.literal(0, unsupported).nullish(),
});

type ChatBody = z.infer<typeof chatRequest>;

export interface ChatRequest extends InferenceRequest {
  readonly includeUsage: boolean;
}

/** @throws FieldError naming the first field that is wrong. */
export function parseChatRequest(body: unknown, { maxMessages, maxCompletions }: FieldLimits): ChatRequest {
  const chat = parseFields(chatRequest, body);
  checkLength("messages", chat.messages, maxMessages);
  if ((chat.n ?? 1) > maxCompletions) throw new FieldError("n", `must be at most ${maxCompletions}`, "integer_above_max_value");
  if (chat.stream_options && chat.stream !== true) throw new FieldError("stream_options", "is only allowed when stream is true");
  return { stream: chat.stream === true, includeUsage: chat.stream_options?.include_usage === true, job: toJob(chat) };
}

function toText(given: string | readonly ({ text: string } | { refusal: string })[] | null | undefined): string {
  if (given == null) return "";
  if (typeof given === "string") return given;
  return given.map((part) => ("text" in part ? part.text : part.refusal)).join("");
}

function toJob(chat: ChatBody): ModelJob {
  const maxTokens = chat.max_completion_tokens ?? chat.max_tokens ?? undefined;
  return {
    model: chat.model,
    messages: chat.messages.map(({ role, content: given, name }): Message => ({
      role: role === "function" ? "tool" : role,
      text: toText(given),
      ...(name != null && { name }),
    })),
    stop: toStop(chat.stop),
    ...(maxTokens !== undefined && { maxTokens }),
    ...(chat.n != null && chat.n > 1 && { n: chat.n }),
    sampling: toSampling(chat),
    ...(chat.tools != null && { tools: chat.tools }),
    ...(chat.tool_choice != null && { toolChoice: chat.tool_choice }),
  };
}
