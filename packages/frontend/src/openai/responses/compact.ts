/** POST /v1/responses/compact: what the user said stays, and the model's own summary takes the place of all else. */
import type { AnswerHead, InferenceApi } from "../../inference/api.ts";
import type { FieldLimits } from "../../inference/fields.ts";
import type { GenerateResult } from "../../inference/transcript.ts";
import { toCompactionText } from "./compaction.ts";
import { toUsage } from "./output.ts";
import { parseResponseRequest, type ResponseRequest } from "./request.ts";
import { createResponsesApi } from "./responses.ts";
import type { Keeper, ResponseStore } from "./store.ts";

const order =
  "Summarize the conversation so far for an assistant that goes on with it and sees nothing else of it: what is wanted, what was decided and found out, what was done, what is left. Answer with the summary alone.";

/** `store` has the responses that are kept; compactions are not. */
export function createCompactApi(store: ResponseStore): InferenceApi<ResponseRequest> {
  return {
    ...createResponsesApi(store),
    endpoint: "responses_compact",
    parse: (body, limits, { apiKey }) => parseCompactRequest(body, limits, store.of(apiKey?.hash)),
    toAnswer: toCompaction,
  };
}

// A summary has no tools and no form.
function parseCompactRequest(body: unknown, limits: FieldLimits, keeper: Keeper): ResponseRequest {
  const { job, ...request } = parseResponseRequest(body, limits, keeper);
  const { model, messages, maxTokens } = job;
  return {
    ...request,
    stream: false,
    keeper: undefined,
    job: {
      model,
      messages: [...messages, { role: "user", text: order }],
      stop: [],
      sampling: {},
      ...(maxTokens !== undefined && { maxTokens }),
    },
  };
}

function toCompaction(
  { conversation }: ResponseRequest,
  { requestId, created }: AnswerHead,
  { choices: [choice], usage }: GenerateResult,
): unknown {
  const said = conversation.filter(({ role, text }) => role === "user" && text !== "");
  const kept = said.map(({ text }, index) => ({
    id: `msg_${requestId}_${index}`,
    type: "message",
    status: "completed",
    role: "user",
    content: [{ type: "input_text", text }],
  }));
  const summary = {
    id: `cmp_${requestId}`,
    type: "compaction",
    encrypted_content: toCompactionText(choice?.text ?? ""),
  };
  return {
    id: `resp_${requestId}`,
    object: "response.compaction",
    created_at: created,
    output: [...kept, summary],
    usage: toUsage(usage),
  };
}
