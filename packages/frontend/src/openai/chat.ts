/** POST /v1/chat/completions. */
import type { InferenceApi } from "../inference/api.ts";
import { createChatStream, toChatCompletion } from "./chat-format.ts";
import { parseChatRequest, type ChatRequest } from "./chat-schema.ts";
import { toTools } from "./tools.ts";
import { keepAlive, toErrorBody, toErrorEvent } from "./errors.ts";

export const chatApi: InferenceApi<ChatRequest> = {
  endpoint: "chat_completions",
  parse: parseChatRequest,
  toTools,
  createStream: createChatStream,
  keepAlive,
  toAnswer: toChatCompletion,
  toErrorBody,
  toErrorEvent,
};
