/** The fields of a messages request that are read; unknown ones are ignored. */
import type { Message } from "@dyn/runtime/llm";
import { maxStops, type ModelJob } from "@dyn/runtime/internal";
import * as z from "zod";
import { described } from "../inference/described.ts";
import { chosenBy, countLimit, listOf } from "../inference/field-kinds.ts";
import { checkLength, modelName, parseFields, type FieldLimits } from "../inference/fields.ts";
import type { InferenceRequest } from "../inference/api.ts";
import type { RewrittenMember } from "../inference/exact.ts";
import type { FieldNames } from "../inference/extra.ts";
import { findMedia } from "../inference/media.ts";
import { skipParts } from "../inference/parts.ts";
import { checkToolChoice } from "../inference/tool-choice.ts";
import { toMessages, turnField } from "./conversation.ts";
import { otherMessageFields } from "./other-fields.ts";
import { outputFields, toResponseFormat } from "./output-format.ts";
import { thinkingField, toReasoning } from "./thinking.ts";
import { toolChoiceField, toolsField, toTools } from "./tools.ts";

const systemText = z.string({ error: "must be a string or a list of text blocks" });
const systemBlocks = listOf(z.object({ type: z.literal("text"), text: z.string() }));
const system = chosenBy<z.infer<typeof systemText | typeof systemBlocks>>([systemText, systemBlocks], (given) =>
  Array.isArray(given) ? systemBlocks : systemText,
);

const countRequest = z.object({
  model: modelName,
  messages: described("The conversation so far, the oldest message first.", listOf(turnField, { min: 1 })),
  system: described("What the engine is told first: a text, or a list of text blocks.", system.nullish()),
  tools: described(
    "Tools that the engine may call. Those that run at the provider, such as web_search, are left out.",
    toolsField.nullish(),
  ),
  ...outputFields,
});

const messagesRequest = countRequest.extend({
  max_tokens: described("Most tokens of the answer.", countLimit()),
  stream: described("True: the answer is a stream of events.", z.boolean().nullish()),
  stop_sequences: described(
    "Texts at which the answer ends. They are not part of it.",
    listOf(z.string().min(1), { max: maxStops }).nullish(),
  ),
  temperature: described(
    "How freely tokens are chosen: 0 is the most likely one each time. Handed to the engine.",
    z.number().min(0).max(1).nullish(),
  ),
  top_p: described(
    "The part of the probability among which tokens are chosen. Handed to the engine.",
    z.number().min(0).max(1).nullish(),
  ),
  top_k: described(
    "How many of the most likely tokens one is chosen from. Handed to the engine.",
    countLimit().nullish(),
  ),
  thinking: described(
    "Permits thinking, which comes in blocks of its own. Ignored for a model that does not think.",
    thinkingField.nullish(),
  ),
  thread: described(
    "Not supported: send the whole conversation.",
    z.null({ error: "is not supported: send the whole conversation" }).optional(),
  ),
  tool_choice: described(
    "Whether and what the engine calls: `auto` unless given. A tool that it names must be in `tools`.",
    toolChoiceField.nullish(),
  ),
});

/** For the document of the API. */
export const messagesRequestSchema: z.ZodType = messagesRequest;
export const countRequestSchema: z.ZodType = countRequest;

export const messageFields: FieldNames = {
  read: new Set(Object.keys(messagesRequest.shape)),
  others: otherMessageFields,
};

/** Input of calls: JSON in the body, a text in the job. */
export const calledBefore: RewrittenMember = {
  member: "messages",
  isIn: ({ messages }) => messages.some(({ toolCalls }) => toolCalls !== undefined),
};

type CountBody = z.infer<typeof countRequest>;

export interface MessagesRequest extends InferenceRequest {
  /** The client wants blocks of thinking without their text. */
  readonly omitsThinking: boolean;
}

/** @throws FieldError naming the first field that is wrong. */
export function parseMessagesRequest(body: unknown, { maxMessages }: FieldLimits): MessagesRequest {
  const given = parseFields(messagesRequest, body);
  checkLength("messages", given.messages, maxMessages);
  const tools = toTools(given.tools ?? []);
  const { choice: toolChoice, parallel } = given.tool_choice ?? {};
  checkToolChoice(toolChoice, tools);
  const responseFormat = toResponseFormat(given.output_config, given.output_format);
  const reasoning = toReasoning(given.thinking, given.output_config?.effort);
  return {
    stream: given.stream === true,
    omitsThinking: given.thinking?.display === "omitted",
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
      ...(tools.length > 0 && { tools }),
      ...(toolChoice && { toolChoice }),
      ...(responseFormat && { responseFormat }),
      ...(reasoning && { reasoning }),
      ...(parallel !== undefined && { parallelToolCalls: parallel }),
    },
    skipped: skipParts(given.messages),
    media: findMedia(given.messages),
  };
}

/** What a count of tokens needs: a request of which nothing is generated. @throws FieldError naming the first field that is wrong. */
export function parseCountRequest(body: unknown, { maxMessages }: FieldLimits): InferenceRequest {
  const given = parseFields(countRequest, body);
  checkLength("messages", given.messages, maxMessages);
  const tools = toTools(given.tools ?? []);
  const responseFormat = toResponseFormat(given.output_config, given.output_format);
  const job: ModelJob = {
    model: given.model,
    messages: toAllMessages(given),
    stop: [],
    sampling: {},
    ...(tools.length > 0 && { tools }),
    ...(responseFormat && { responseFormat }),
  };
  return { stream: false, job, skipped: skipParts(given.messages), media: findMedia(given.messages) };
}

function toAllMessages({ system: given, messages }: CountBody): Message[] {
  const text = typeof given === "string" ? given : given?.map((block) => block.text).join("");
  return [...(text === undefined ? [] : [{ role: "system" as const, text }]), ...toMessages(messages)];
}
