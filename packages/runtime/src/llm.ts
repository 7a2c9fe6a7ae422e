/** `@dyn/runtime/llm`: the contract between frontends and language-model workers. */
export { serveModel } from "./llm/serve-model.ts";
export type { ServeModelOptions } from "./llm/serve-model.ts";
export type { Delta, Engine, FinishReason, Message, ModelRequest, Sampling, Usage } from "./llm/contract.ts";
export { countPromptTokens, countTokens, splitTokens } from "./llm/tokens.ts";
