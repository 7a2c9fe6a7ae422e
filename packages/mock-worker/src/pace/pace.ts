/** When the tokens of a request come. */
import { countPromptTokens } from "@dyn/runtime/internal";
import type { ModelRequest } from "@dyn/runtime/llm";
import { createTimes } from "./times.ts";

export interface PaceOptions {
  readonly ttftMs: number | string;
  readonly itlMs: number | string;
  readonly prefillTokensPerS?: number;
  readonly speedupRatio: number;
  readonly seed: number;
}

/** The pace of one worker. */
export interface Clockwork {
  /** A time that somebody has named, as it is to be waited for. */
  readonly scale: (ms: number) => number;
  /** The times of the next request. */
  next(request: ModelRequest): RequestPace;
}

/** Times in ms, as they are to be waited for. */
export interface RequestPace {
  readonly firstMs: number;
  /** Before that token, from 1. */
  readonly nextMs: (token: number) => number;
}

export function createClockwork({ ttftMs, itlMs, prefillTokensPerS = 0, speedupRatio, seed }: PaceOptions): Clockwork {
  const scale = (ms: number): number => (speedupRatio === 0 ? 0 : ms / speedupRatio);
  const first = createTimes(ttftMs, seed);
  const between = createTimes(itlMs, seed);
  const prefillMs = (request: ModelRequest): number =>
    prefillTokensPerS === 0 ? 0 : (1_000 * countPromptTokens(request)) / prefillTokensPerS;
  let requests = 0;
  const { fixedMs } = between;
  const fixed = fixedMs === undefined ? undefined : () => scale(fixedMs);
  return {
    scale,
    next(request) {
      requests += 1;
      const number = requests;
      return {
        firstMs: scale(first.at(number, 0) + prefillMs(request)),
        nextMs: fixed ?? ((token) => scale(between.at(number, token))),
      };
    },
  };
}
