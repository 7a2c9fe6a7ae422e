/** `@dyn/runtime/llm`: the contract between frontends and language-model workers. */
/// <reference types="node" preserve="true" />
export { endOfJsonString, findJsonExcess, isJsonMark, jsonMarks } from "./llm/json-size.ts";
export { maxChoices, maxStops } from "./llm/job-check.ts";
export { serveModel } from "./llm/serve-model.ts";
export type { ServeModelOptions } from "./llm/serve-model.ts";
export { tokensOf } from "./llm/limits.ts";
export { assertDelta } from "./llm/deltas.ts";
export type {
  BegunChoice,
  Delta,
  Engine,
  FinishReason,
  Generated,
  Message,
  ModelJob,
  ModelRequest,
  Prefill,
  Prompt,
  Sampling,
  Usage,
  WorkerRole,
} from "./llm/contract.ts";
export { countJobTokens, countPromptTokens, splitTokens } from "./llm/tokens.ts";
