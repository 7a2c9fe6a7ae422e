/** What a language-model worker is asked and what it answers, whatever API the client spoke. */
import type { RequestContext } from "../handler.ts";
import type { ResponseHeaders } from "../trace/response-headers.ts";
import type { LogprobsRequest, PromptLogprob, TokenLogprob } from "./logprobs.ts";

export interface Message {
  readonly role: "system" | "developer" | "user" | "assistant" | "tool";
  /** All text parts of the message, joined. */
  readonly text: string;
  readonly name?: string;
  /** All of its parts, in their order, if one of them is no text and the engine can read it (`capabilities`). */
  readonly parts?: readonly MessagePart[];
  /** Of an assistant: what it called. */
  readonly toolCalls?: readonly ToolCall[];
  /** Of a tool: the call that this is the result of. */
  readonly toolCallId?: string;
  /** Of an assistant: what it thought before it said so, as far as the client has kept it. */
  readonly reasoning?: string;
}

/** What an engine can do beyond text. `tools`: it reads `tools` and may call them. `images`, `audio`, `files`: it reads such parts of messages.
 *  `schemas`: it holds its text to a `responseFormat`. `reasoning`: it may think before it answers, and obeys `reasoning`. `logprobs`: it says how likely its
 *  tokens are. */
export type Capability = "tools" | "images" | "audio" | "files" | "schemas" | "reasoning" | "logprobs";

/** A part of a message: a text, or something else. */
export type MessagePart = { readonly kind: "text"; readonly text: string } | MediaPart;

/** A part that is no text, as far as the client has described it: its bytes, or where they are. */
export interface MediaPart {
  readonly kind: "image" | "audio" | "file";
  /** Its bytes, in base64 as the client sent them. */
  readonly data?: string;
  /** Such as `image/png`, or `wav`. */
  readonly mediaType?: string;
  /** Where it is, if its bytes are elsewhere. */
  readonly url?: string;
  /** Its name at whoever keeps it for the client. */
  readonly fileId?: string;
  /** Name of a file. */
  readonly name?: string;
  /** How closely an image is to be looked at, in the client's words: `low`, `high`, `auto`. */
  readonly detail?: string;
}

/** Arguments of a `function` are JSON, those of a `custom` tool any text. */
export type ToolKind = "function" | "custom";

/** A tool that the model may call. */
export interface Tool {
  readonly name: string;
  readonly kind: ToolKind;
  readonly description?: string;
  /** JSON Schema of the arguments of a function, as the client sent it. A number that a double would change (12345678901234567890, 1e400) is a
   *  JSON.rawJSON: JSON.stringify writes it as it was, and its text is `rawJSON`. */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** The client relies on arguments that are as `parameters` says. */
  readonly strict?: boolean;
  /** What a custom tool takes, for instance a grammar, as the client sent it. */
  readonly format?: unknown;
}

/** What the client wants of its tools. */
export interface ToolChoice {
  /** `auto`: as the model likes. `none`: no call. `required`: at least one. `named`: one of `name`. */
  readonly mode: "auto" | "none" | "required" | "named";
  /** With `named`: the tool. */
  readonly name?: string;
  /** Only these may be called. Absent = all. */
  readonly allowed?: readonly string[];
}

/** The text of the completion must be JSON. */
export interface ResponseFormat {
  /** JSON Schema of it, as the client sent it; numbers as in `Tool`. Absent = any object. */
  readonly schema?: Readonly<Record<string, unknown>>;
  /** What the client calls the schema. */
  readonly name?: string;
  /** The client relies on a text that is as `schema` says. */
  readonly strict?: boolean;
}

/** How the client wants the model to think. All of it is a wish. */
export interface Reasoning {
  /** True: it may think. False: it should not. Absent = as the model likes. */
  readonly isEnabled?: boolean;
  /** How much, in the client's word: `minimal`, `low`, `medium`, `high`, `max` and others. */
  readonly effort?: string;
  /** Most tokens of thinking. They count among `maxTokens`, too. */
  readonly budgetTokens?: number;
}

/** A call that a model has made. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly kind: ToolKind;
  /** The whole text: JSON, of a function. */
  readonly arguments: string;
}

/** A piece of a call. Calls come one after the other: a piece belongs to the last call that has begun, or begins the next. */
export interface ToolCallPiece {
  /** Which call of the completion, from 0. */
  readonly index: number;
  /** In the first piece of a call, and only there. */
  readonly name?: string;
  /** In the first piece, if the engine gives ids; else the runtime makes one. */
  readonly id?: string;
  /** In the first piece. Absent = `function`. */
  readonly kind?: ToolKind;
  /** What is added to the arguments. */
  readonly arguments?: string;
}

export interface Sampling {
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  /** From -2^63 to 2^63 - 1; a bigint where a number might not be exact, from 2^53 on. */
  readonly seed?: number | bigint;
  readonly frequencyPenalty?: number;
  readonly presencePenalty?: number;
}

/** A prompt that no chat template applies to. */
export interface Prompt {
  /** The text; of a prompt given as token ids, their decimal forms with blanks between. */
  readonly text: string;
  readonly tokenIds?: readonly number[];
}

/** What a worker does of a request: all of it, the prompt only, or what comes after the prompt. */
export type WorkerRole = "aggregated" | "prefill" | "decode";

/** The beginning of a completion that another worker has made and the client has got. */
export interface Generated {
  readonly text: string;
  readonly tokens: number;
  /** Ids of those tokens, if the engine that made them gave any. */
  readonly tokenIds?: readonly number[];
  /** Calls that it has made, the last one perhaps in part. */
  readonly toolCalls?: readonly ToolCall[];
  /** What it has thought. Without `text` and `toolCalls` it may be in the middle of it. */
  readonly reasoning?: string;
  /** Of `tokens`, those of `reasoning`. */
  readonly reasoningTokens?: number;
}

/** One completion to make. Parsed and validated by the frontend. */
export interface ModelRequest {
  readonly model: string;
  /** The conversation; a prompt without one is a single user message. */
  readonly messages: readonly Message[];
  /** Set if the client gave a bare prompt instead of a conversation. */
  readonly prompt?: Prompt;
  /** Texts that end the completion; they are not part of it. */
  readonly stop: readonly string[];
  /** Most tokens the completion may have. */
  readonly maxTokens?: number;
  /** Fewest tokens the completion is to have, unless a stop text ends it. */
  readonly minTokens?: number;
  /** True: it is to go on where the model would end, up to `maxTokens`. Absent = it ends there. */
  readonly ignoreEos?: boolean;
  readonly sampling: Sampling;
  /** Tools it may call. */
  readonly tools?: readonly Tool[];
  /** Absent = `auto`. */
  readonly toolChoice?: ToolChoice;
  /** False: at most one call. Absent = as the model likes. */
  readonly parallelToolCalls?: boolean;
  /** Only engines that are served with the capability `schemas` get it. Absent = any text. */
  readonly responseFormat?: ResponseFormat;
  /** Only engines that are served with the capability `reasoning` get it. Absent = as the model likes. */
  readonly reasoning?: Reasoning;
  /** Only engines that are served with the capability `logprobs` get it. Absent = nothing is wanted of that. */
  readonly logprobs?: LogprobsRequest;
  /** Fields of the client's request that its API does not read, under their own names, as the client sent them; numbers as in `Tool`. Absent = none. */
  readonly extra?: Readonly<Record<string, unknown>>;
  /** The completion has begun elsewhere: go on after this. Only engines served with a `migrationLimit` above 0 get it. */
  readonly generated?: Generated;
  /** At a decode worker: what the prefill worker's engine made of the prompt. */
  readonly prefillResult?: unknown;
}

/** Source text of JSON values. */
export interface ExactJson {
  readonly tools?: string;
  readonly responseFormat?: string;
  readonly extra?: string;
}

/** What travels to a worker: one request for one or several completions. Engines see them one by one, as a ModelRequest. */
export interface ModelJob extends ModelRequest {
  /** In place of the fields of these names: JSON keeps of schemas what msgpack and doubles cannot. */
  readonly exactJson?: ExactJson;
  /** Completions for each prompt. Default 1. */
  readonly n?: number;
  /** Several prompts at once: each in turn takes the place of `prompt` and `messages`. Choice `i` belongs to prompt `floor(i / n)`. */
  readonly prompts?: readonly Prompt[];
  /** For decode workers: where the prompts were prefilled, and one result for each. */
  readonly prefill?: Prefill;
  /** Not completions are asked for, but vectors of the prompts. */
  readonly embedding?: EmbeddingTask;
  /** The request has begun at another worker: what the client has of each choice. */
  readonly begun?: readonly BegunChoice[];
}

/** How vectors are to be. */
export interface EmbeddingTask {
  /** Numbers of each. Absent = as many as the model likes. */
  readonly dimensions?: number;
}

/** A choice of a request that has begun at another worker. */
export interface BegunChoice extends Generated {
  /** Nothing is left to do for this choice. */
  readonly isFinished: boolean;
}

/** The outcome of the first half of a disaggregated request. */
export interface Prefill {
  /** One per prompt. */
  readonly results: readonly unknown[];
  /** The prefill worker's span, to which the decode worker's links. */
  readonly traceId?: string;
  readonly spanId?: string;
}

export type FinishReason = "stop" | "length" | "content_filter" | "tool_calls";

/** Tokens of an answer, whole numbers. */
export interface Usage {
  readonly promptTokens: number;
  /** Of the whole completion, with what `generated` says of another worker's part. */
  readonly completionTokens: number;
  /** Of the prompt's, those found in a prefix cache; left out by engines that have none. */
  readonly cachedTokens?: number;
  /** Of the completion's, those of thinking; left out if there are none. */
  readonly reasoningTokens?: number;
}

/** A piece of a completion. */
export interface Delta {
  readonly text: string;
  /** What is added to the model's thinking; text and calls of the same delta come after it. It is no part of the text: stop strings are not looked for in it. */
  readonly reasoning?: string;
  /** Ids of the tokens in it; without them a delta with text, thinking or a piece of a call counts as one token. */
  readonly tokenIds?: readonly number[];
  /** Pieces of tool calls, in their order; text of the same delta stands before them. */
  readonly toolCalls?: readonly ToolCallPiece[];
  /** If `logprobs` of the request ask for it: one for each token of its text; none of thinking and calls. */
  readonly logprobs?: readonly TokenLogprob[];
  /** If `logprobs.prompt` of the request asks for it, once, before or with the first text: one for each token of the prompt. Not with `generated`. */
  readonly promptLogprobs?: readonly PromptLogprob[];
  /** Which completion of the job; absent means 0. Engines leave it out. */
  readonly choice?: number;
  /** Ends the completion. */
  readonly finishReason?: FinishReason;
  /** The stop text that ended it. */
  readonly stopText?: string;
  /** What the engine knows of the counts, wherever it likes: the latest word of each wins over the runtime's own count. `completionTokens` counts
   *  up to and with this delta; tokens of later ones are added. `reasoningTokens` likewise: of its own accord the runtime counts the tokens of deltas
   *  that have thinking and nothing else. */
  readonly usage?: Partial<Usage>;
  /** At a prefill worker: what the decode worker's engine needs to go on. Plain data, opaque to everybody between. */
  readonly prefillResult?: unknown;
  /** The vector of prompt `choice`: 32-bit floats, little-endian. Engines leave it out. */
  readonly embedding?: Uint8Array;
  /** Of the first delta of an answer: headers for the HTTP answer. Engines leave it out, and give them to `context.setResponseHeaders`. */
  readonly headers?: ResponseHeaders;
}

/** Tokens of `text`, a prompt as `render` has made it; `request` is where it is from. A whole number, or a promise of it. */
export type CountTokens = (text: string, request: ModelRequest, context: RequestContext) => number | Promise<number>;

/** The text of a conversation as a chat template makes it, or a promise of it. Bare prompts have none. */
export type RenderPrompt = (request: ModelRequest, context: RequestContext) => string | Promise<string>;

/** A model: deltas for a request, or a promise of the only one. */
export type Engine = (request: ModelRequest, context: RequestContext) => AsyncIterable<Delta, void> | Promise<Delta>;
