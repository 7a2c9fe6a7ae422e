/** The fields of a messages request that are read; unknown ones are ignored. */
import type { Message } from "@dyn/runtime/llm";
import { maxStops, type ModelJob } from "@dyn/runtime/internal";
import * as z from "zod";
import {
  anyList,
  checkLength,
  chosenBy,
  countLimit,
  listOf,
  modelName,
  parseFields,
  type FieldLimits,
} from "../inference/fields.ts";
import type { InferenceRequest } from "../inference/serve.ts";
import { skipParts } from "../inference/parts.ts";
import { toMessages, turnField } from "./conversation.ts";

const systemText = z.string({ error: "must be a string or a list of text blocks" });
const systemBlocks = listOf(z.object({ type: z.literal("text"), text: z.string() }));
const system = chosenBy<z.infer<typeof systemText | typeof systemBlocks>>((given) =>
  Array.isArray(given) ? systemBlocks : systemText,
);

// Permission to think, not an order to: what @anthropic-ai/sdk calls ThinkingConfigParam. No engine thinks yet.
const thinking = z.looseObject({
  type: z.enum(["adaptive", "enabled", "between_tools", "disabled"]),
  budget_tokens: z.int().min(1_024).nullish(),
});

const countRequest = z.object({
  model: modelName,
  messages: listOf(turnField, { min: 1 }),
  system: system.nullish(),
  tools: anyList.nullish(),
});

const messagesRequest = countRequest.extend({
  max_tokens: countLimit,
  stream: z.boolean().nullish(),
  stop_sequences: listOf(z.string().min(1), { max: maxStops }).nullish(),
  temperature: z.number().min(0).max(1).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_k: countLimit.nullish(),
  thinking: thinking.nullish(),
  thread: z.null({ error: "is not supported: send the whole conversation" }).optional(),
  tool_choice: z.unknown().optional(),
});

type CountBody = z.infer<typeof countRequest>;

/** @throws FieldError naming the first field that is wrong. */
export function parseMessagesRequest(body: unknown, { maxMessages }: FieldLimits): InferenceRequest {
  const given = parseFields(messagesRequest, body);
  checkLength("messages", given.messages, maxMessages);
  return {
    stream: given.stream === true,
    job: {
      model: given.model,
      messages: toAllMessages(given),
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
    skipped: skipParts(given.messages),
  };
}

/** What a count of tokens needs. @throws FieldError naming the first field that is wrong. */
export function parseCountRequest(
  body: unknown,
  { maxMessages }: FieldLimits,
): Pick<ModelJob, "model" | "messages"> & Pick<InferenceRequest, "skipped"> {
  const given = parseFields(countRequest, body);
  checkLength("messages", given.messages, maxMessages);
  return { model: given.model, messages: toAllMessages(given), skipped: skipParts(given.messages) };
}

function toAllMessages({ system: given, messages }: CountBody): Message[] {
  const text = typeof given === "string" ? given : given?.map((block) => block.text).join("");
  return [...(text === undefined ? [] : [{ role: "system" as const, text }]), ...toMessages(messages)];
}
