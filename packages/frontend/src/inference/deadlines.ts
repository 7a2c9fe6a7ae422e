/** How long an answer may take: in all, to its first token, and between tokens. One timer a request, none per token. */
import { RuntimeError } from "@dyn/runtime";
import { maxTimerMs, StalledError } from "@dyn/runtime/internal";

/** Limits in ms; 0 = none. */
export interface DeadlineLimits {
  readonly totalMs: number;
  readonly firstTokenMs: number;
  readonly betweenTokensMs: number;
}

export interface DeadlineOptions {
  readonly limits: DeadlineLimits;
  /** Reading of the clock at which the request began. */
  readonly startedAt: number;
  /** Monotonic clock, ms. */
  readonly now: () => number;
  /** Called once, with `deadline_exceeded`. */
  readonly onExpiry: (error: RuntimeError) => void;
}

/** Watches one request; disposing ends it. */
export class Deadlines implements Disposable {
  /** Reading of the clock at which the whole answer must be there; undefined = no limit. */
  readonly endsAt: number | undefined;
  readonly #options: DeadlineOptions;
  #heardAt: number | undefined;
  #isHeld = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DeadlineOptions) {
    const { limits, startedAt } = options;
    this.#options = options;
    this.endsAt = limits.totalMs > 0 ? startedAt + limits.totalMs : undefined;
    this.#look();
  }

  /** Tokens have arrived, or the client reads again (`at`, a reading of the clock): the worker's time begins anew. */
  heard(at: number = this.#options.now()): void {
    this.#heardAt = at;
    this.#isHeld = false;
  }

  /** The client does not keep up: until `heard` the time is not the worker's. */
  hold(): void {
    this.#isHeld = true;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  // When the worker's next token is due.
  get #tokenDueAt(): number {
    const { limits, startedAt } = this.#options;
    if (this.#heardAt === undefined)
      return limits.firstTokenMs > 0 ? startedAt + limits.firstTokenMs : Number.POSITIVE_INFINITY;
    return this.#isHeld || limits.betweenTokensMs === 0
      ? Number.POSITIVE_INFINITY
      : this.#heardAt + limits.betweenTokensMs;
  }

  // Tokens only note their time, also the first: the timer looks again when the next was due without them.
  #look = (): void => {
    const { limits, now, onExpiry } = this.#options;
    const { endsAt = Number.POSITIVE_INFINITY } = this;
    const tokenDueAt = this.#tokenDueAt;
    const leftMs = Math.min(endsAt, tokenDueAt) - now();
    if (leftMs <= 0) return onExpiry(tokenDueAt < endsAt ? this.#toStalled() : toLate(limits));
    const mayComeDue = limits.betweenTokensMs > 0 && (this.#heardAt === undefined || this.#isHeld);
    const nextMs = mayComeDue ? Math.min(leftMs, limits.betweenTokensMs) : leftMs;
    if (Number.isFinite(nextMs)) this.#timer = setTimeout(this.#look, Math.min(Math.ceil(nextMs), maxTimerMs));
  };

  // The worker has let its caller wait for its next word.
  #toStalled(): StalledError {
    const { firstTokenMs, betweenTokensMs } = this.#options.limits;
    return new StalledError(
      this.#heardAt === undefined
        ? `no first token within ${firstTokenMs} ms`
        : `no further token within ${betweenTokensMs} ms`,
    );
  }
}

function toLate({ totalMs }: DeadlineLimits): RuntimeError {
  return new RuntimeError("deadline_exceeded", `the answer was not complete within ${totalMs} ms`);
}

/** Of requests. */
export const timeoutHeader = "x-request-timeout-ms";
const longestMs = 86_400_000;

/** The client's own limit for the whole answer, which may be shorter than ours but not longer. @throws RuntimeError `invalid_argument`. */
export function readTimeout(value: string | string[] | undefined, limits: DeadlineLimits): DeadlineLimits {
  if (value === undefined) return limits;
  const ms = typeof value === "string" && /^\d{1,8}$/.test(value.trim()) ? Number(value) : Number.NaN;
  if (!(ms >= 1 && ms <= longestMs))
    throw new RuntimeError(
      "invalid_argument",
      `${timeoutHeader} header must be a whole number of ms from 1 to ${longestMs}`,
    );
  return { ...limits, totalMs: limits.totalMs > 0 ? Math.min(ms, limits.totalMs) : ms };
}
