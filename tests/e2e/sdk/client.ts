/** One way to ask a model, whatever the library: what every client of the matrix can do. */

export interface Ask {
  readonly prompt: string;
  /** Default `mock`. */
  readonly model?: string;
  readonly system?: string;
  /** Default 1000. */
  readonly maxTokens?: number;
  readonly stop?: readonly string[];
  /** Sent as `x-request-id`. */
  readonly tag?: string;
  /** After the first failure. Default 0. */
  readonly maxRetries?: number;
  /** The client's own limit. Default none that matters here. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** What the library made of an answer. Reasons are the library's own words. */
export interface Answer {
  readonly text: string;
  readonly reason: string | null | undefined;
  readonly inputTokens: number | undefined;
  readonly outputTokens: number | undefined;
  /** As the library exposes it; where it does not, taken from the id of the body. */
  readonly requestId: string | null | undefined;
}

/** What the library made of a failure; undefined is what it does not expose. */
export interface Failure {
  /** The class's name. */
  readonly name: string;
  readonly message: string;
  readonly status: number | undefined;
  readonly type: string | undefined;
  readonly code: string | undefined;
  readonly param: string | undefined;
  readonly requestId: string | undefined;
}

export type OnText = (text: string) => void;

/** The classes a library has for what the HTTP status says. */
export type ErrorClasses = Readonly<Record<400 | 404 | 413 | 503, string>>;

export interface SdkClient {
  readonly name: string;
  readonly api: "openai" | "anthropic";
  /** Whether the id it exposes is the header `x-request-id`: the client's own, if it sent one. */
  readonly readsClientId: { readonly answers: boolean; readonly errors: boolean };
  readonly classes: ErrorClasses;
  complete(this: void, ask: Ask): Promise<Answer>;
  /** `onText` hears each piece as it comes. */
  stream(this: void, ask: Ask, onText?: OnText): Promise<Answer>;
  toFailure(this: void, error: unknown): Failure;
}

/** The classes that most libraries have; the rest differs. */
export function toClasses(tooLarge: string, unavailable: string): ErrorClasses {
  return { 400: "BadRequestError", 404: "NotFoundError", 413: tooLarge, 503: unavailable };
}

/** Body ids are a prefix and the request id. */
export function toRequestId(bodyId: string | undefined): string | undefined {
  return bodyId?.replace(/^(?:chatcmpl-|cmpl-|msg_)/, "");
}

/** The name of a class, or of what has none of its own. */
export function toClassName(error: unknown): string {
  const { constructor, name } = error as Error;
  return constructor === Error || constructor === DOMException ? name : constructor.name;
}

const success: Failure = {
  name: "no failure",
  message: "the call succeeded",
  status: undefined,
  type: undefined,
  code: undefined,
  param: undefined,
  requestId: undefined,
};

/** The failure of `work`, or one that nobody expects. */
export async function failureOf(toFailure: SdkClient["toFailure"], work: Promise<unknown>): Promise<Failure> {
  return work.then(() => success, toFailure);
}
