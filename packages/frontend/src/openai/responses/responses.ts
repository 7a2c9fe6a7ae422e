/** POST /v1/responses. */
import type { InferenceApi } from "../../inference/api.ts";
import { keepAlive, toErrorBody, toErrorEvent } from "../errors.ts";
import { ResponseStream } from "./events.ts";
import { toResponse } from "./output.ts";
import { parseResponseRequest, toResponseFormat, type ResponseRequest } from "./request.ts";
import { readTools } from "./tools.ts";

export const responsesApi: InferenceApi<ResponseRequest> = {
  endpoint: "responses",
  parse: parseResponseRequest,
  exact: [
    { member: "tools", field: "tools", read: (given) => readTools(given as unknown[]).tools }, // the schema takes lists
    { member: "text", field: "responseFormat", read: toResponseFormat },
  ],
  createStream: (request, head) => new ResponseStream(request, head),
  repeatsAnswer: true,
  keepAlive,
  toAnswer: toResponse,
  toErrorBody,
  toErrorEvent,
};
