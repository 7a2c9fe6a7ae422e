/** `@dyn/runtime/llm`: the contract between frontends and language-model workers. */
export { maxChoices, serveModel } from "./llm/serve-model.ts";
export type { ServeModelOptions } from "./llm/serve-model.ts";
export { assertDelta } from "./llm/deltas.ts";
export { toMessages } from "./llm/choices.ts";
export type { Delta, Engine, FinishReason, Message, ModelJob, ModelRequest, Prefill, Prompt, Sampling, Usage, WorkerRole } from "./llm/contract.ts";
export { countPromptTokens, countTokens, splitTokens } from "./llm/tokens.ts";
