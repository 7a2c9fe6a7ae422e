/** How long an answer may take: in all, to its first token, and between tokens. One timer a request, none per token. */
import { maxTimerMs, RuntimeError, StalledError } from "@dyn/runtime";

/** Limits in ms; 0 = none. */
export interface DeadlineLimits {
  readonly totalMs: number;
  readonly firstTokenMs: number;
  readonly betweenTokensMs: number;
}

export interface Deadlines extends Disposable {
  /** Reading of the clock at which the whole answer must be there; undefined = no limit. */
  readonly endsAt: number | undefined;
  /** Tokens have arrived, or the client reads again: the worker's time begins anew. */
  heard(): void;
  /** The client does not keep up: until `heard` the time is not the worker's. */
  hold(): void;
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

interface Due {
  readonly at: number;
  readonly problem: string;
  /** The worker has let its caller wait for its next word. */
  readonly isStalled?: true;
}

/** Begin to watch; disposing ends it. */
export function beginDeadlines({ limits, startedAt, now, onExpiry }: DeadlineOptions): Deadlines {
  const { totalMs, firstTokenMs, betweenTokensMs } = limits;
  const endsAt = totalMs > 0 ? startedAt + totalMs : undefined;
  const total: Due | undefined = endsAt === undefined ? undefined : { at: endsAt, problem: `no answer within ${totalMs} ms` };
  let heardAt: number | undefined;
  let isHeld = false;
  let timer: NodeJS.Timeout | undefined;

  function nextToken(): Due | undefined {
    if (heardAt === undefined)
      return firstTokenMs > 0 ? { at: startedAt + firstTokenMs, problem: `no first token within ${firstTokenMs} ms`, isStalled: true } : undefined;
    if (isHeld || betweenTokensMs === 0) return undefined;
    return { at: heardAt + betweenTokensMs, problem: `no further token within ${betweenTokensMs} ms`, isStalled: true };
  }

  // Tokens only note their time, also the first: the timer looks again when the next was due without them.
  function look(): void {
    timer = undefined;
    const token = nextToken();
    const due = token && total ? (token.at < total.at ? token : total) : (token ?? total);
    const leftMs = due ? due.at - now() : Number.POSITIVE_INFINITY;
    if (due && leftMs <= 0) return onExpiry(due.isStalled ? new StalledError(due.problem) : new RuntimeError("deadline_exceeded", due.problem));
    const mayComeDue = betweenTokensMs > 0 && (heardAt === undefined || isHeld);
    const nextMs = mayComeDue ? Math.min(leftMs, betweenTokensMs) : leftMs;
    if (Number.isFinite(nextMs)) timer = setTimeout(look, Math.min(Math.ceil(nextMs), maxTimerMs));
  }

  look();
  return {
    endsAt,
    heard() {
      heardAt = now();
      isHeld = false;
    },
    hold() {
      isHeld = true;
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}

/** Of requests. */
export const timeoutHeader = "x-request-timeout-ms";
const longestMs = 86_400_000;

/** The client's own limit for the whole answer, which may be shorter than ours but not longer. @throws RuntimeError `invalid_argument`. */
export function readTimeout(value: string | string[] | undefined, limits: DeadlineLimits): DeadlineLimits {
  if (value === undefined) return limits;
  const ms = typeof value === "string" && /^\d{1,8}$/.test(value.trim()) ? Number(value) : Number.NaN;
  if (!(ms >= 1 && ms <= longestMs))
    throw new RuntimeError("invalid_argument", `${timeoutHeader} header must be a whole number of ms from 1 to ${longestMs}`);
  return { ...limits, totalMs: limits.totalMs > 0 ? Math.min(ms, limits.totalMs) : ms };
}
