/** What a script says: rules in the words of aimock's fixtures. https://github.com/CopilotKit/aimock, docs/fixtures */

/** A list of rules. The first whose `match` fits a request answers it; a request that none fits is answered by the mock's own rules. */
export interface Script {
  /** At most 10 000. */
  readonly fixtures: readonly Fixture[];
}

/** A text: one that contains it, or a regular expression in the syntax of RE2. */
export type Pattern = string | { readonly regex: string; readonly flags?: string };

/** One rule. */
export interface Fixture {
  /** Which requests it is for. Default: all. */
  readonly match?: FixtureMatch;
  /** What they are answered. Without it they are answered by a later rule, or by the mock's own rules, and the rule says only what goes wrong (`fault`). */
  readonly response?: FixtureResponse;
  /** How many requests it is for, counted in this process; those that follow are for later rules. Default: any number. */
  readonly times?: number;
  /** What goes wrong besides, as `--fault` says it: `error:overloaded%0.1,cut@5`. Default: nothing. */
  readonly fault?: string;
  /** Time before each token, ms. Default: as the pace of the worker says. */
  readonly latency?: number;
  /** Characters of a token. Default: a word of a text, 8 characters of JSON and arguments. */
  readonly chunkSize?: number;
  /** Time of tokens; it wins over `latency`. */
  readonly streamingProfile?: StreamingProfile;
  /** Times that were measured; they win over both. */
  readonly recordedTimings?: RecordedTimings;
  /** Divides the times that were measured. Default 1. */
  readonly replaySpeed?: number;
  /** Tokens after which the connection to the frontend is cut. Default: it is not. */
  readonly truncateAfterChunks?: number;
  /** Shares of the requests that fail. */
  readonly chaos?: Chaos;
}

/** All that is said must be so. */
export interface FixtureMatch {
  /** Text of the last message of the user. */
  readonly userMessage?: Pattern;
  /** Text of all system and developer messages, with line ends between; of a list each must be in it. */
  readonly systemMessage?: Pattern | readonly string[];
  /** Name of a tool that may be called. */
  readonly toolName?: string;
  /** The last message is the result of this call. */
  readonly toolCallId?: string;
  /** The last message is the result of a call, and contains this. */
  readonly toolResultContains?: string;
  /** There is a result of a call after the last message of the user. */
  readonly hasToolResult?: boolean;
  /** How many answers of the model the conversation has. */
  readonly turnIndex?: number;
  /** How many requests before it had what else is in this match, counted in this process. */
  readonly sequenceIndex?: number;
  /** Name of the model: the whole of it, or an expression. */
  readonly model?: Pattern;
  /** `json_schema`, `json_object`, or `text` for neither. */
  readonly responseFormat?: "text" | "json_object" | "json_schema";
  /** Headers that the frontend lets through, by their names: the whole value, or an expression. */
  readonly headers?: Readonly<Record<string, Pattern>>;
  /** The whole value of the header `x-aimock-context`. */
  readonly context?: string;
  /** The request is the very one that was recorded, by its hash. */
  readonly requestHash?: string;
  /** Rules for endpoints other than `chat` are for others: this mock passes over them. */
  readonly endpoint?: string;
}

/** An answer. `blocks` wins over `reasoning`, `content` and `toolCalls`, `error` over all three. */
export interface FixtureResponse {
  /** The text; anything that is no text is written as JSON. */
  readonly content?: unknown;
  /** What the model thinks before it. */
  readonly reasoning?: string;
  readonly toolCalls?: readonly FixtureCall[];
  /** Parts in their order. */
  readonly blocks?: readonly FixtureBlock[];
  /** In place of an answer: an error. */
  readonly error?: FixtureError;
  /** Status of the error. Default 500. */
  readonly status?: number;
  /** `retry-after` of the error, s. Default: 1 where another try is worth it. */
  readonly retryAfter?: number;
  /** In place of what dyn counts. */
  readonly usage?: FixtureUsage;
  /** Default: `stop`, or `tool_calls` after a call. */
  readonly finishReason?: "stop" | "length" | "content_filter" | "tool_calls";
}

export interface FixtureCall {
  readonly name: string;
  /** Its arguments; anything that is no text is written as JSON. */
  readonly arguments: unknown;
  /** `custom` for a tool whose arguments are no JSON. Default `function`. */
  readonly kind?: "function" | "custom";
  /** Default: dyn makes one. */
  readonly id?: string;
}

/** A part of an answer. `chunks`: how many characters each token of it has, 0 for the name of a call. */
export type FixtureBlock =
  | { readonly type: "text" | "reasoning"; readonly text: string; readonly chunks?: readonly number[] }
  | (FixtureCall & { readonly type: "toolCall"; readonly chunks?: readonly number[] })
  /** A pause, ms. */
  | { readonly type: "delay"; readonly ms: number }
  /** The answer ends with an error here. */
  | { readonly type: "error"; readonly error: FixtureError; readonly status?: number; readonly retryAfter?: number }
  /** What goes wrong here: `hang`, `cut`, `crash` or `garbage`. */
  | { readonly type: "fault"; readonly fault: "hang" | "cut" | "crash" | "garbage" };

export interface FixtureError {
  /** What clients read. */
  readonly message?: string;
  /** A code of dyn's, in place of a status, or else the `code` of OpenAI's error. */
  readonly code?: string;
  /** `param` of OpenAI's error. */
  readonly param?: string | null;
}

export interface FixtureUsage {
  readonly prompt_tokens?: number;
  readonly completion_tokens?: number;
  /** As `prompt_tokens`. */
  readonly input_tokens?: number;
  /** As `completion_tokens`. */
  readonly output_tokens?: number;
  readonly prompt_tokens_details?: { readonly cached_tokens?: number };
  readonly completion_tokens_details?: { readonly reasoning_tokens?: number };
}

export interface StreamingProfile {
  /** To the first token, ms. Default: as the pace of the worker says. */
  readonly ttft?: number;
  /** Tokens a second after that. */
  readonly tps?: number;
  /** By how much of itself a time varies, 0 to 1. Default 0. */
  readonly jitter?: number;
}

export interface RecordedTimings {
  readonly ttftMs: number;
  /** One for each token after the first. */
  readonly interChunkDelaysMs: readonly number[];
  readonly totalDurationMs?: number;
}

/** Shares of the requests, 0 to 1. */
export interface Chaos {
  /** Those that are answered with an error. */
  readonly dropRate?: number;
  /** Those that get bytes that are none of dyn's. */
  readonly malformedRate?: number;
  /** Those whose connection is cut after the first token. */
  readonly disconnectRate?: number;
}
