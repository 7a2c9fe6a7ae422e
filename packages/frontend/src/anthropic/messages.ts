/** POST /v1/messages. */
import type { InferenceApi } from "../inference/api.ts";
import { toErrorBody, toErrorEvent } from "./errors.ts";
import { createMessageStream, ping, toMessage } from "./messages-format.ts";
import { parseMessagesRequest } from "./messages-schema.ts";

export const messagesApi: InferenceApi = {
  endpoint: "anthropic_messages",
  parse: parseMessagesRequest,
  createStream: createMessageStream,
  keepAlive: ping,
  toAnswer: toMessage,
  toErrorBody,
  toErrorEvent,
};
