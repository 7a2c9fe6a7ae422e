/** Fields of OpenAI's API that mean nothing here, beside those of Dynamo's: engines may know what to do with them. openai 7.57, CreateParamsBase. */

export const otherChatFields: readonly string[] = [
  "audio",
  "function_call",
  "functions",
  "logit_bias",
  "metadata",
  "modalities",
  "moderation",
  "prediction",
  "prompt_cache_key",
  "prompt_cache_options",
  "prompt_cache_retention",
  "safety_identifier",
  "service_tier",
  "store",
  "user",
  "verbosity",
  "web_search_options",
  "nvext",
];

export const otherCompletionFields: readonly string[] = ["logit_bias", "user", "nvext"];

/** With one of Codex's. */
export const otherResponseFields: readonly string[] = [
  "access_programs",
  "client_metadata",
  "context_management",
  "image",
  "include",
  "moderation",
  "prompt_cache_options",
  "prompt_cache_retention",
  "service_tier",
  "stream_options",
  "truncation",
  "nvext",
];
