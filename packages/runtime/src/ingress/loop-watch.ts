/** Tells when the event loop was blocked: nothing else of this process ran meanwhile, and its peers heard nothing of it. */
import type { Logger } from "../logging/logger.ts";

/** How long one piece of work may take before it is told, ms. */
const limitMs = 1_000;
/** How often the loop is looked at, ms. */
const everyMs = 500;
/** Requests that one line names. */
const maxNamed = 8;

/** A request as the watch knows it. */
export interface WatchedRequest {
  readonly requestId: string;
  /** When its handler was called, by the clock of the watch; undefined before. */
  readonly begunAt: number | undefined;
}

export interface LoopWatchOptions {
  readonly log: Logger;
  /** Monotonic clock, ms. */
  readonly now: () => number;
  /** Time in which the loop has not waited, of all its life, ms. Default: that of this thread. */
  readonly busyMs?: () => number;
  /** Requests that run now. */
  readonly running: () => Iterable<WatchedRequest>;
}

/** Looks a few times a second from `start` until it is disposed, and costs a request no more than one reading of the clock at its end. */
export class LoopWatch implements Disposable {
  #options: LoopWatchOptions;
  #busyMs: () => number;
  #timer: NodeJS.Timeout | undefined;
  #lookedAt = 0;
  #busyThen = 0;
  /** Requests that have ended since the last look, which is long ago. */
  #ended: WatchedRequest[] = [];

  constructor(options: LoopWatchOptions) {
    this.#options = options;
    this.#busyMs = options.busyMs ?? ((): number => performance.eventLoopUtilization().active);
  }

  /** Begin to look. Again: nothing. */
  start(): void {
    if (this.#timer) return;
    this.#remember();
    this.#timer = setInterval(() => this.look(), everyMs).unref();
  }

  /** A request has ended: in a round of the loop that was blocked it may be the one that has blocked it. */
  ended(request: WatchedRequest): void {
    if (this.#timer && this.#options.now() - this.#lookedAt >= limitMs) this.#ended.push(request);
  }

  /** What the timer does. */
  look(): void {
    const blockedMs = this.#blockedMs();
    const ended = this.#ended;
    this.#ended = [];
    this.#remember();
    if (blockedMs >= limitMs) this.#tell(blockedMs, ended);
  }

  // A process that was stopped, or had to wait for a processor while it waited for work, was late and not blocked.
  #blockedMs(): number {
    return Math.min(this.#options.now() - this.#lookedAt, this.#busyMs() - this.#busyThen);
  }

  #remember(): void {
    this.#lookedAt = this.#options.now();
    this.#busyThen = this.#busyMs();
  }

  #tell(blockedMs: number, ended: readonly WatchedRequest[]): void {
    // One that was called later than the block is long has not made it.
    const latest = this.#lookedAt - limitMs;
    const asked = [...ended, ...this.#options.running()]
      .filter(({ begunAt }) => begunAt !== undefined && begunAt <= latest)
      .map(({ requestId }) => requestId);
    const [requestId] = asked;
    const one = { request_id: requestId };
    const several = { requests: asked.length, request_ids: asked.slice(0, maxNamed).join(",") };
    const fields = { blocked_ms: Math.round(blockedMs), ...(asked.length > 0 && (asked.length > 1 ? several : one)) };
    this.#options.log.child({ target: "dyn_runtime" }).warn(fields, "event loop blocked");
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
