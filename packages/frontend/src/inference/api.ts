/** What an API brings: its shapes. All else about a request is the same for every API. */
import type { RuntimeError } from "@dyn/runtime";
import type { Exchange, ModelJob } from "@dyn/runtime/internal";
import type { Delta } from "@dyn/runtime/llm";
import type { AskParts } from "./ask-options.ts";
import type { FieldLimits } from "./fields.ts";
import type { ExactMember, RewrittenMember } from "./exact.ts";
import type { FieldNames } from "./extra.ts";
import type { GivenMedia } from "./media.ts";
import type { AnswerResult } from "./logprobs.ts";

/** A parsed body; APIs add what they need to format the answer. */
export interface InferenceRequest {
  readonly stream: boolean;
  readonly job: ModelJob;
  /** Kinds of parts of its messages that the job is without. */
  readonly skipped?: readonly string[];
  /** Parts of its messages that are no text, and that not every engine reads. */
  readonly media?: readonly GivenMedia[];
  /** Memory of what the job has that its body had not, such as a conversation that is kept. Default: 0. */
  readonly keptBytes?: number;
  /** The field that asks for a form of the answer. Default: `response_format`. */
  readonly formatParam?: string;
}

/** What every answer says about itself. */
export interface AnswerHead {
  /** Ours; body ids contain it. */
  readonly requestId: string;
  /** Unix time, s. */
  readonly created: number;
  /** Unix time of this moment, s. */
  readonly now: () => number;
}

/** The events of one stream. Everything but the text is fixed, so it is built once. */
export interface StreamFormat {
  /** What stands before the first batch, if it may be large: written one by one, as fast as the client reads. */
  readonly opening?: Iterable<string>;
  /** All events of one batch, joined. */
  batch(deltas: readonly Delta[]): string;
  /** What follows the last delta. */
  end(result: AnswerResult): string;
  /** What ends a stream that has begun and failed. Default: `toErrorEvent` of the API. */
  fail?(error: RuntimeError): string;
}

/** How an API refuses. */
export interface Refusals {
  /** Value of the `endpoint` log field and metric label. */
  readonly endpoint: string;
  toErrorBody(error: RuntimeError, requestId: string): unknown;
}

/** An API whose answers are of one piece, and no completions. */
export interface UnaryApi<Request> extends Refusals {
  /** Names of its fields. Without them none is refused because nobody knows it. */
  readonly fields?: FieldNames;
  /** @throws FieldError naming the field that is wrong. */
  parse(body: unknown, limits: FieldLimits): Request;
  /** Ask workers. @returns the body of the answer, as JSON. */
  answer(request: Request, asking: AskParts): Promise<string>;
}

/** What an API brings: its shapes. */
export interface InferenceApi<Request extends InferenceRequest = InferenceRequest> extends Refusals {
  /** @throws FieldError naming the field that is wrong. */
  parse(body: unknown, limits: FieldLimits, caller: Exchange["caller"]): Request;
  /** Names of its fields. Without them it has none that nobody knows. */
  readonly fields?: FieldNames;
  /** Members of a body whose schemas engines get to the last digit. */
  readonly exact?: readonly ExactMember[];
  /** A member of which the job has JSON that was written anew. */
  readonly rewritten?: RewrittenMember;
  createStream(request: Request, head: AnswerHead): StreamFormat;
  /** Streams end with the whole answer, which is held until then. */
  readonly repeatsAnswer?: true;
  /** What a stream says when it has nothing to say: every client skips it, wherever it stands. */
  readonly keepAlive: string;
  /** The body of a unary answer. */
  toAnswer(request: Request, head: AnswerHead, result: AnswerResult): unknown;
  /** The event that ends a stream that has begun and failed. */
  toErrorEvent(error: RuntimeError, requestId: string): string;
}
