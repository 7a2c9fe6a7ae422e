/** Texts of a script, as tokens with their times. */
import { splitTokens } from "@dyn/runtime/internal";
import { cut } from "../answers/rules.ts";
import { toShare } from "../hash.ts";
import type { Fixture } from "./format.ts";

interface Cutting {
  /** How many characters each token has. */
  readonly chunks?: readonly number[] | undefined;
  /** How many all of them have. */
  readonly chunkSize?: number | undefined;
  /** It is JSON, or arguments. */
  readonly isJson: boolean;
}

export function toTokens(given: string, { chunks, chunkSize, isJson }: Cutting): readonly string[] {
  const text = given.toWellFormed();
  if (chunks) return cutBy(text, chunks);
  if (chunkSize !== undefined) return cut(text, chunkSize);
  return isJson ? cut(text) : [...splitTokens(text)];
}

// What is left over is a token of its own.
function cutBy(text: string, chunks: readonly number[]): string[] {
  const letters = Array.from(text);
  const tokens: string[] = [];
  let at = 0;
  for (const length of chunks) {
    if (length > 0 && at < letters.length) tokens.push(letters.slice(at, at + length).join(""));
    at += length;
  }
  if (at < letters.length) tokens.push(letters.slice(at).join(""));
  return tokens;
}

/** Time before the token of that number, ms; undefined where the worker's pace holds. */
export type WaitOf = (index: number) => number | undefined;

/** Undefined for a rule that says nothing of times. */
export function toWaitOf({ latency, streamingProfile, recordedTimings, replaySpeed = 1 }: Fixture): WaitOf | undefined {
  if (recordedTimings) {
    const { ttftMs, interChunkDelaysMs } = recordedTimings;
    return (index) => {
      const ms = index === 0 ? ttftMs : interChunkDelaysMs[index - 1];
      return ms === undefined ? undefined : ms / replaySpeed;
    };
  }
  if (streamingProfile) {
    const { ttft, tps, jitter = 0 } = streamingProfile;
    return (index) => {
      const ms = index === 0 ? ttft : tps === undefined ? undefined : 1_000 / tps;
      return ms === undefined ? undefined : ms * (1 + jitter * (2 * toShare(0, index, 0) - 1));
    };
  }
  return latency === undefined ? undefined : () => latency;
}
