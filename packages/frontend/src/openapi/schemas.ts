/** The schemas that have a name in the document. */
import { anthropicAnswers } from "../anthropic/answer-schemas.ts";
import { countRequestSchema, messagesRequestSchema } from "../anthropic/messages-schema.ts";
import type { JsonSchema } from "../inference/described.ts";
import type { BodyLimits } from "../inference/fields.ts";
import { openaiAnswers } from "../openai/answer-schemas.ts";
import { chatRequestSchema } from "../openai/chat-schema.ts";
import { completionRequestSchema } from "../openai/completions-schema.ts";
import { embeddingsRequestSchema } from "../openai/embeddings.ts";
import { responseAnswers } from "../openai/responses/answer-schemas.ts";
import { responseRequestSchema } from "../openai/responses/request.ts";
import { toComponents } from "./json-schema.ts";
import { operatorAnswers } from "./operator-answers.ts";
import { treeAnswers } from "./request-tree.ts";

/** Those that are settings. */

const requests = {
  ChatRequest: chatRequestSchema,
  CompletionRequest: completionRequestSchema,
  EmbeddingsRequest: embeddingsRequestSchema,
  ResponseRequest: responseRequestSchema,
  MessagesRequest: messagesRequestSchema,
  CountRequest: countRequestSchema,
};

export function toSchemas(limits: BodyLimits): Readonly<Record<string, JsonSchema>> {
  const schemas = toComponents({
    ...requests,
    ...openaiAnswers,
    ...responseAnswers,
    ...anthropicAnswers,
    ...operatorAnswers,
    ...treeAnswers,
  });
  const bodies = Object.keys(requests).map((name) => [name, withLimits(schemas[name] ?? {}, limits)]);
  return { ...schemas, ...Object.fromEntries(bodies) };
}

// Limits that are settings are checked beside the schema.
function withLimits({ properties = {}, ...rest }: JsonSchema, { maxMessages, maxCompletions }: BodyLimits): JsonSchema {
  const fields = properties as Readonly<Record<string, JsonSchema>>; // zod writes no boolean schemas
  const { messages, instructions, input, n } = fields;
  return {
    ...rest,
    properties: {
      ...fields,
      ...(messages && { messages: { ...messages, maxItems: maxMessages } }),
      ...(instructions && input?.anyOf && { input: withMost(input, input.anyOf, maxMessages) }),
      ...(n && { n: { ...n, maximum: Math.min(n.maximum ?? maxCompletions, maxCompletions) } }),
    },
  };
}

// Of the lists among its kinds.
function withMost(schema: JsonSchema, kinds: readonly JsonSchema[], maxItems: number): JsonSchema {
  return { ...schema, anyOf: kinds.map((kind) => (kind.type === "array" ? { ...kind, maxItems } : kind)) };
}
