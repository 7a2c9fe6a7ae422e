/** What a language-model worker is asked and what it answers, whatever API the client spoke. */
import type { RequestContext } from "../engine.ts";
import type { Logger } from "../logging/logger.ts";

export interface Message {
  readonly role: "system" | "developer" | "user" | "assistant" | "tool";
  /** All text parts of the message, joined. */
  readonly text: string;
  readonly name?: string;
}

export interface Sampling {
  readonly temperature?: number;
  readonly topP?: number;
  readonly seed?: number;
  readonly frequencyPenalty?: number;
  readonly presencePenalty?: number;
}

/** Parsed and validated by the frontend. */
export interface ModelRequest {
  readonly model: string;
  readonly messages: readonly Message[];
  /** Texts that end the completion; they are not part of it. */
  readonly stop: readonly string[];
  /** Most tokens the completion may have. */
  readonly maxTokens?: number;
  readonly sampling: Sampling;
  /** Tool definitions and choice as the client sent them. */
  readonly tools?: readonly unknown[];
  readonly toolChoice?: unknown;
}

export type FinishReason = "stop" | "length" | "content_filter" | "tool_calls";

export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** A piece of a completion. */
export interface Delta {
  readonly text: string;
  /** Ids of the tokens in `text`; without them a delta with text counts as one token. */
  readonly tokenIds?: readonly number[];
  /** Ends the completion. */
  readonly finishReason?: FinishReason;
  /** Wins over the runtime's own count. */
  readonly usage?: Usage;
}

/** A model: deltas for a request. */
export type Engine = (request: ModelRequest, context: RequestContext<Logger>) => AsyncIterable<Delta>;
