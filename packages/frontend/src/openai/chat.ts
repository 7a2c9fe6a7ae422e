/** POST /v1/chat/completions. */
import type { InferenceApi } from "../inference/api.ts";
import { createChatStream, toChatCompletion } from "./chat-format.ts";
import { chatFields, parseChatRequest, type ChatRequest } from "./chat-schema.ts";
import { toResponseFormat } from "./response-format.ts";
import { toTools } from "./tools.ts";
import { keepAlive, toErrorBody, toErrorEvent } from "./errors.ts";

export const chatApi: InferenceApi<ChatRequest> = {
  endpoint: "chat_completions",
  parse: parseChatRequest,
  fields: chatFields,
  exact: [
    { member: "tools", field: "tools", read: (given) => toTools(given as unknown[]) }, // the schema takes lists
    { member: "response_format", field: "responseFormat", read: toResponseFormat },
  ],
  createStream: createChatStream,
  keepAlive,
  toAnswer: toChatCompletion,
  toErrorBody,
  toErrorEvent,
};
