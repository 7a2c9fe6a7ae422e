/** The fields of a messages request that are read; unknown ones are ignored. */
import type { Message, ModelJob } from "@dyn/runtime/llm";
import * as z from "zod";
import { checkLength, countLimit, listOf, parseFields, unsupportedKind, type FieldLimits } from "../fields.ts";
import type { InferenceRequest } from "../inference.ts";

/** Of ours: each costs its share of every character of the answer. */
const maxStops = 1_024;

const textBlock = z.object({ type: z.literal("text"), text: z.string() });
const resultBlock = z.object({ type: z.literal("tool_result"), content: z.union([z.string(), listOf(textBlock)]).nullish() });
const silentBlock = z.object({ type: z.enum(["tool_use", "thinking", "redacted_thinking"]) });
const block = z.discriminatedUnion("type", [textBlock, resultBlock, silentBlock], unsupportedKind("text", "tool_use", "tool_result", "thinking"));
const content = z.union([z.string(), listOf(block)], { error: "must be a string or a list of content blocks" });
const system = z.union([z.string(), listOf(textBlock)], { error: "must be a string or a list of text blocks" });

const message = z.object({ role: z.enum(["user", "assistant"]), content });

const countRequest = z.object({
  model: z.string().min(1).max(256),
  messages: listOf(message, { min: 1 }),
  system: system.nullish(),
  tools: z.array(z.unknown()).nullish(),
});

const messagesRequest = countRequest.extend({
  max_tokens: countLimit,
  stream: z.boolean().nullish(),
  stop_sequences: listOf(z.string().min(1), { max: maxStops }).nullish(),
  temperature: z.number().min(0).max(1).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_k: countLimit.nullish(),
  thinking: z.looseObject({ type: z.literal("disabled", { error: "must be disabled, thinking is not supported" }) }).nullish(),
  tool_choice: z.unknown().optional(),
});

type CountBody = z.infer<typeof countRequest>;
type Content = z.infer<typeof content>;

/** @throws FieldError naming the first field that is wrong. */
export function parseMessagesRequest(body: unknown, { maxMessages }: FieldLimits): InferenceRequest {
  const given = parseFields(messagesRequest, body);
  checkLength("messages", given.messages, maxMessages);
  return {
    stream: given.stream === true,
    job: {
      model: given.model,
      messages: toMessages(given),
      stop: given.stop_sequences ?? [],
      maxTokens: given.max_tokens,
      sampling: {
        ...(given.temperature != null && { temperature: given.temperature }),
        ...(given.top_p != null && { topP: given.top_p }),
        ...(given.top_k != null && { topK: given.top_k }),
      },
      ...(given.tools != null && { tools: given.tools }),
      ...(given.tool_choice != null && { toolChoice: given.tool_choice }),
    },
  };
}

/** What a count of tokens needs. @throws FieldError naming the first field that is wrong. */
export function parseCountRequest(body: unknown, { maxMessages }: FieldLimits): Pick<ModelJob, "model" | "messages"> {
  const given = parseFields(countRequest, body);
  checkLength("messages", given.messages, maxMessages);
  return { model: given.model, messages: toMessages(given) };
}

function toMessages({ system: instructions, messages }: CountBody): Message[] {
  const first: Message[] = instructions == null ? [] : [{ role: "system", text: toText(instructions) }];
  return [...first, ...messages.map((each): Message => ({ role: each.role, text: toText(each.content) }))];
}

function toText(given: Content): string {
  if (typeof given === "string") return given;
  return given.map(blockText).join("");
}

function blockText(each: Exclude<Content, string>[number]): string {
  if (each.type === "text") return each.text;
  return each.type === "tool_result" && each.content != null ? toText(each.content) : "";
}
