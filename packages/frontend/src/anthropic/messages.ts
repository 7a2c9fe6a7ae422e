/** POST /v1/messages. */
import type { InferenceApi } from "../inference/api.ts";
import { exactMembers } from "./output-format.ts";
import { toErrorBody, toErrorEvent } from "./errors.ts";
import { ping } from "./blocks.ts";
import { createMessageStream, toMessage } from "./messages-format.ts";
import { calledBefore, messageFields, parseMessagesRequest, type MessagesRequest } from "./messages-schema.ts";

export const messagesApi: InferenceApi<MessagesRequest> = {
  endpoint: "anthropic_messages",
  parse: parseMessagesRequest,
  fields: messageFields,
  exact: exactMembers,
  rewritten: calledBefore,
  createStream: createMessageStream,
  keepAlive: ping,
  toAnswer: toMessage,
  toErrorBody,
  toErrorEvent,
};
