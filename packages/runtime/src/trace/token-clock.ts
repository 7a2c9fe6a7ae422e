/** When the tokens of an answer came: how many, the first, the last, and the times that follow. The same at workers and at frontends, for lines, spans and metrics. */
import { roundMs } from "../durations.ts";

/** As lines and spans have them, ms to the microsecond. */
export interface TokenTimes {
  /** From the beginning to the first token. */
  readonly ttft_ms?: number;
  /** Between tokens, on average: from the first to the last. */
  readonly avg_itl_ms?: number;
}

/** Readings are those of one monotonic clock, ms. A class: there is one per request, and each token costs a few additions. */
export class TokenClock {
  readonly startedAt: number;
  readonly #now: () => number;
  #count = 0;
  #firstAt: number | undefined;
  #lastAt: number | undefined;
  #slowestMs = 0;

  constructor(startedAt: number, now: () => number) {
    this.startedAt = startedAt;
    this.#now = now;
  }

  /** `count` tokens have come together; none is no news.
   *  @returns the time between tokens, ms: each has an equal share of the time since those before. Undefined for the first: theirs is no time between tokens. */
  add(count: number, at?: number): number | undefined {
    if (count === 0) return undefined;
    const before = this.#lastAt;
    const last = at ?? this.#now();
    this.#count += count;
    this.#lastAt = last;
    if (before === undefined) {
      this.#firstAt = last;
      return undefined;
    }
    const ms = (last - before) / count;
    if (ms > this.#slowestMs) this.#slowestMs = ms;
    return ms;
  }

  get count(): number {
    return this.#count;
  }

  get firstAt(): number | undefined {
    return this.#firstAt;
  }

  get lastAt(): number | undefined {
    return this.#lastAt;
  }

  /** The longest time between tokens; 0 as long as there is none. */
  get slowestMs(): number {
    return this.#slowestMs;
  }

  /** Time to the first token; undefined as long as there is none. */
  get ttftMs(): number | undefined {
    return this.#firstAt === undefined ? undefined : this.#firstAt - this.startedAt;
  }

  /** For a line or a span. `startedAt`: when it began, if it is not that of the clock. `count`: tokens there were, if an engine counts others than were seen. */
  times(startedAt: number = this.startedAt, count: number = this.#count): TokenTimes {
    const [firstAt, lastAt] = [this.#firstAt, this.#lastAt];
    if (firstAt === undefined || lastAt === undefined) return {};
    const ttft_ms = roundMs(firstAt - startedAt);
    return count > 1 ? { ttft_ms, avg_itl_ms: roundMs((lastAt - firstAt) / (count - 1)) } : { ttft_ms };
  }
}
