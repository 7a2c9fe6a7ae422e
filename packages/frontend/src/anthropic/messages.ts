/** POST /v1/messages. */
import type { InferenceApi } from "../inference/api.ts";
import { toTools } from "./tools.ts";
import { toErrorBody, toErrorEvent } from "./errors.ts";
import { ping } from "./blocks.ts";
import { createMessageStream, toMessage } from "./messages-format.ts";
import { parseMessagesRequest } from "./messages-schema.ts";

export const messagesApi: InferenceApi = {
  endpoint: "anthropic_messages",
  parse: parseMessagesRequest,
  toTools,
  createStream: createMessageStream,
  keepAlive: ping,
  toAnswer: toMessage,
  toErrorBody,
  toErrorEvent,
};
