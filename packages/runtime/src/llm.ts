/** `@dyn/runtime/llm`: the contract between frontends and language-model workers. */
export { maxChoices, serveModel } from "./llm/serve-model.ts";
export type { ServeModelOptions } from "./llm/serve-model.ts";
export { toMessages } from "./llm/choices.ts";
export type { Delta, Engine, FinishReason, Message, ModelJob, ModelRequest, Prompt, Sampling, Usage } from "./llm/contract.ts";
export { countPromptTokens, countTokens, splitTokens } from "./llm/tokens.ts";
