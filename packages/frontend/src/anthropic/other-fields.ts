/** Fields of Anthropic's API that mean nothing here: engines may know what to do with them. @anthropic-ai/sdk 1.12, MessageCreateParamsBase, stable and beta, and its forms for clouds. */

export const otherMessageFields: readonly string[] = [
  "anthropic_beta",
  "anthropic_version",
  "betas",
  "billing_policy",
  "cache_control",
  "compaction",
  "container",
  "context_management",
  "diagnostics",
  "fallback_credit_token",
  "fallbacks",
  "inference_geo",
  "mcp_servers",
  "metadata",
  "service_tier",
  "speed",
  "user_profile_id",
  "workspace_id",
];
