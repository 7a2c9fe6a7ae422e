/** POST /v1/messages/count_tokens: what `usage.input_tokens` of the same request will say. */
import type { CountApi } from "../inference/count-tokens.ts";
import { toErrorBody } from "./errors.ts";
import { calledBefore, messageFields, parseCountRequest } from "./messages-schema.ts";
import { exactMembers } from "./output-format.ts";

export const countApi: CountApi = {
  endpoint: "anthropic_count_tokens",
  parse: parseCountRequest,
  fields: messageFields,
  exact: exactMembers,
  rewritten: calledBefore,
  toAnswer: (promptTokens) => ({ input_tokens: promptTokens }),
  toErrorBody,
};
