/** Requests of every API that are good but for one field. */
import { parseCountRequest, parseMessagesRequest } from "../../packages/frontend/src/anthropic/messages-schema.ts";
import { FieldError, type FieldLimits } from "../../packages/frontend/src/inference/fields.ts";
import { parseJsonBody } from "../../packages/frontend/src/http/body.ts";
import { parseChatRequest } from "../../packages/frontend/src/openai/chat-schema.ts";
import { parseCompletionRequest } from "../../packages/frontend/src/openai/completions-schema.ts";

/** As the frontend has them by default. */
export const limits: FieldLimits = { maxMessages: 100_000, maxCompletions: 1_024, maxEchoBytes: 1_048_576 };

const apis = {
  chat: [parseChatRequest, { model: "m", messages: [{ role: "user", content: "hi" }] }],
  completions: [parseCompletionRequest, { model: "m", prompt: "hi" }],
  messages: [parseMessagesRequest, { model: "m", max_tokens: 1, messages: [{ role: "user", content: "hi" }] }],
  count: [parseCountRequest, { model: "m", messages: [{ role: "user", content: "hi" }] }],
} as const;
/** An API, by its name here. */
export type Api = keyof typeof apis;

/** Parse a good request with `field` as given: as text, because numbers of 64 bits are none of JavaScript's. */
export function parse(api: Api, field: string, json: string): unknown {
  const [parseRequest, good] = apis[api];
  const members = Object.entries({ ...good, [field]: undefined }).flatMap(([name, value]) =>
    value === undefined ? [] : `"${name}":${JSON.stringify(value)}`,
  );
  return parseRequest(parseJsonBody(Buffer.from(`{${[...members, `"${field}":${json}`].join(",")}}`)), limits);
}

/** What is the matter with that request. */
export function problemOf(api: Api, field: string, json: string): FieldError {
  try {
    parse(api, field, json);
  } catch (error) {
    if (error instanceof FieldError) return error;
    throw error;
  }
  throw new Error(`${api} takes ${field} ${json.slice(0, 64)}`);
}

/** The least of 64 bits. */
export const minInt64 = "-9223372036854775808";
/** The greatest of 64 bits. */
export const maxInt64 = "9223372036854775807";
