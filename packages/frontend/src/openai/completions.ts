/** POST /v1/completions. */
import type { InferenceApi } from "../inference/api.ts";
import { createCompletionStream, toTextCompletion } from "./completions-format.ts";
import { completionFields, parseCompletionRequest, type CompletionRequest } from "./completions-schema.ts";
import { keepAlive, toErrorBody, toErrorEvent } from "./errors.ts";

export const completionsApi: InferenceApi<CompletionRequest> = {
  endpoint: "completions",
  parse: parseCompletionRequest,
  fields: completionFields,
  createStream: createCompletionStream,
  keepAlive,
  toAnswer: toTextCompletion,
  toErrorBody,
  toErrorEvent,
};
