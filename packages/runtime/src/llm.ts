/** `@dyn/runtime/llm`: language-model workers. docs/guide has every name. */
/// <reference types="node" preserve="true" />
export { serveModel } from "./llm/serve-model.ts";
export type { ServeModelOptions } from "./llm/serve-model.ts";
export { serveEmbeddings } from "./llm/serve-embeddings.ts";
export type { ServeEmbeddingsOptions } from "./llm/serve-embeddings.ts";
export type { Embed, EmbeddingRequest, Embeddings } from "./llm/embeddings.ts";
export type {
  CountTokens,
  Capability,
  Delta,
  Engine,
  FinishReason,
  Generated,
  MediaPart,
  Message,
  MessagePart,
  ModelRequest,
  Prompt,
  Reasoning,
  RenderPrompt,
  ResponseFormat,
  Sampling,
  Tool,
  ToolCall,
  ToolCallPiece,
  ToolChoice,
  ToolKind,
  Usage,
  WorkerRole,
} from "./llm/contract.ts";
export type { Logprob, LogprobsRequest, PromptLogprob, TokenLogprob } from "./llm/logprobs.ts";
