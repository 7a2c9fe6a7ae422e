/** POST /v1/responses, and the count of what it would read. */
import type { InferenceApi } from "../../inference/api.ts";
import type { CountApi } from "../../inference/count-tokens.ts";
import type { ExactMember } from "../../inference/exact.ts";
import { keepAlive, toErrorBody, toErrorEvent } from "../errors.ts";
import { ResponseStream } from "./events.ts";
import { toResponse } from "./output.ts";
import { parseResponseRequest, responseFields, toResponseFormat, type ResponseRequest } from "./request.ts";
import type { ResponseStore } from "./store.ts";
import { readTools } from "./tools.ts";

/** Schemas of a request for a response. */
export const exactMembers: readonly ExactMember[] = [
  { member: "tools", field: "tools", read: (given) => readTools(given as unknown[]).tools }, // the schema takes lists
  { member: "text", field: "responseFormat", read: toResponseFormat },
];

/** `store` has the responses that are kept. */
export function createResponsesApi(store: ResponseStore): InferenceApi<ResponseRequest> {
  return {
    endpoint: "responses",
    parse: (body, limits, { apiKey }) => parseResponseRequest(body, limits, store.of(apiKey?.hash)),
    fields: responseFields,
    exact: exactMembers,
    createStream: (request, head) => new ResponseStream(request, head),
    repeatsAnswer: true,
    keepAlive,
    toAnswer: toResponse,
    toErrorBody,
    toErrorEvent,
  };
}

/** POST /v1/responses/input_tokens. */
export function createInputTokensApi(store: ResponseStore): CountApi {
  return {
    endpoint: "responses_input_tokens",
    parse: (body, limits, { apiKey }) => parseResponseRequest(body, limits, store.of(apiKey?.hash)),
    fields: responseFields,
    exact: exactMembers,
    toAnswer: (promptTokens) => ({ object: "response.input_tokens", input_tokens: promptTokens }),
    toErrorBody,
  };
}
