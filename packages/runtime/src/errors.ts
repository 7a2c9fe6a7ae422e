/** The error of all packages, and what those who catch it may know of it. */
import { errorTable, isErrorCode, type ErrorCode, type ErrorTraits } from "./error-table.ts";

/** Of `details`, as msgpack. */
export const maxDetailsBytes = 1_024;
/** Of `param`. */
export const maxParamChars = 256;
/** Of `retryAfterMs`: a day. */
export const maxRetryAfterMs = 86_400_000;
const apiCodes = /^[\w.-]{1,64}$/;

/** What may be said of an error besides its code and its message. */
export interface RuntimeErrorOptions {
  /** What it followed from, for the log alone: another error, or anything that was thrown. Default: none. */
  readonly cause?: unknown;
  /** What clients read instead of a message with addresses, paths or words of other software in it. Default: the message. */
  readonly publicMessage?: string | undefined;
  /** Facts for whoever asked, HTTP clients included: plain data, at most 1024 bytes as msgpack. Default: none. */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  /** `code` of OpenAI's error, 1 to 64 letters, digits, `_`, `.` and `-`. Default: what the table has for the code. */
  readonly apiCode?: string | undefined;
  /** `param` of OpenAI's error: the field it is about, at most 256 characters. Default: none. */
  readonly param?: string | undefined;
  /** When another try is worth it, ms, at most a day: `retry-after` of the HTTP answer. Default: 1 s where another try is worth it, else not said. */
  readonly retryAfterMs?: number | undefined;
  /** Whether another instance may be tried while nothing has been delivered, whatever had begun. Default: what the table has for the code; of a handler that has begun only where its endpoint is idempotent. */
  readonly retryable?: boolean | undefined;
}

/** Every failure the runtime raises. `message` names what happened with the numbers; peers switch on `code`. */
export class RuntimeError extends Error {
  override readonly name = "RuntimeError";
  readonly code: ErrorCode;
  readonly publicMessage: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;
  readonly apiCode: string | undefined;
  readonly param: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly retryable: boolean;
  /** True if whoever made this error has said whether it is `retryable`; false if its code has. */
  declare readonly isRetryableSaid: boolean;

  /** @throws TypeError on a code that is not one of the set, and on options out of their bounds; plain JavaScript may give any. */
  constructor(code: ErrorCode, message: string, options: RuntimeErrorOptions = {}) {
    if (!isErrorCode(code)) throw new TypeError(describeBadCode(code, message), options);
    super(message, options);
    if (Object.keys(options).length > 0) checkOptions(options);
    this.code = code;
    this.publicMessage = options.publicMessage;
    this.details = options.details;
    this.apiCode = options.apiCode;
    this.param = options.param;
    this.retryAfterMs = options.retryAfterMs;
    this.retryable = options.retryable ?? errorTable[code].retryable;
    Object.defineProperty(this, "isRetryableSaid", { value: options.retryable !== undefined }); // not to be shown where errors are
  }

  get traits(): ErrorTraits {
    return errorTable[this.code];
  }
}

const optionNames: Readonly<Record<keyof RuntimeErrorOptions, true>> = {
  cause: true,
  publicMessage: true,
  details: true,
  apiCode: true,
  param: true,
  retryAfterMs: true,
  retryable: true,
};

// The size of `details` is looked at where they are sent: most never are.
function checkOptions(options: RuntimeErrorOptions): void {
  const { details, apiCode, param, retryAfterMs, retryable } = options;
  for (const name of Object.keys(options))
    if (!Object.hasOwn(optionNames, name))
      throw new TypeError(`${name} is no option of a RuntimeError, expected ${Object.keys(optionNames).join(", ")}`);
  if (details !== undefined && (typeof details !== "object" || details === null || Array.isArray(details)))
    throw new TypeError("details of a RuntimeError must be an object of plain data");
  if (apiCode !== undefined && !isApiCode(apiCode))
    throw new TypeError("apiCode of a RuntimeError must be 1 to 64 letters, digits, _, . and -");
  if (param !== undefined && !isParam(param))
    throw new TypeError(`param of a RuntimeError must be a text of at most ${maxParamChars} characters`);
  if (retryAfterMs !== undefined && !isRetryAfterMs(retryAfterMs))
    throw new TypeError(`retryAfterMs of a RuntimeError must be a number from 0 to ${maxRetryAfterMs}`);
  if (retryable !== undefined && typeof retryable !== "boolean")
    throw new TypeError("retryable of a RuntimeError must be true or false");
}

/** True for what `apiCode` may be. */
export function isApiCode(value: unknown): value is string {
  return typeof value === "string" && apiCodes.test(value);
}

/** True for what `param` may be. */
export function isParam(value: unknown): value is string {
  return typeof value === "string" && value.length <= maxParamChars;
}

/** True for what `retryAfterMs` may be. */
export function isRetryAfterMs(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= maxRetryAfterMs;
}

/** A failure of the other end of a connection. It has no stack: that would show how this end came to hear of it, and look like a fault of ours. */
export class PeerError extends RuntimeError {
  constructor(code: ErrorCode, message: string, options?: RuntimeErrorOptions) {
    super(code, message, options);
    this.stack = `${this.name}: ${message}`;
  }
}

/** A `deadline_exceeded` that speaks against the worker: it has let its caller wait too long for its next word. */
export class StalledError extends RuntimeError {
  constructor(message: string) {
    super("deadline_exceeded", message);
  }
}

/** What a client may read of an error. */
export function toPublicMessage({ message, publicMessage, traits }: RuntimeError): string {
  return traits.publicMessage ?? publicMessage ?? message;
}

/** The details of an error that a client may read, as JSON: none of one whose message it may not read. */
export function toPublicDetails({ details, traits }: RuntimeError): RuntimeError["details"] {
  if (!details || traits.publicMessage !== undefined) return undefined;
  return JSON.parse(JSON.stringify(details, toJson)) as RuntimeError["details"];
}

function toJson(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  return value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value;
}

/** What is said of an error whose code is none. */
export function describeBadCode(code: unknown, message: unknown): string {
  return `${JSON.stringify(code)} is no error code, expected one of ${Object.keys(errorTable).join(", ")}; the message was: ${String(message)}`;
}
