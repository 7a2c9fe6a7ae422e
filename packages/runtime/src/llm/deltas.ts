/** Deltas of a worker that may be anybody's: narrowed before they are trusted. */
import { RuntimeError } from "../errors.ts";
import { isMap } from "../wire/payload.ts";
import type { Delta, FinishReason } from "./contract.ts";

const finishReasons: ReadonlySet<unknown> = new Set<FinishReason>(["stop", "length", "content_filter", "tool_calls"]);

/** A number of something: whole, from 0, exact. */
export function isCount(value: unknown): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isUsage(value: unknown): boolean {
  if (!isMap(value) || !isCount(value["promptTokens"]) || !isCount(value["completionTokens"])) return false;
  return value["cachedTokens"] === undefined || isCount(value["cachedTokens"]);
}

function findProblem(value: unknown): string | undefined {
  if (!isMap(value) || typeof value["text"] !== "string") return "text";
  const { tokenIds, choice, finishReason, stopText, usage } = value;
  if (tokenIds !== undefined && !Array.isArray(tokenIds)) return "tokenIds";
  if (choice !== undefined && !isCount(choice)) return "choice";
  if (finishReason !== undefined && !finishReasons.has(finishReason)) return "finishReason";
  if (stopText !== undefined && typeof stopText !== "string") return "stopText";
  return usage === undefined || isUsage(usage) ? undefined : "usage";
}

/** @throws RuntimeError `protocol` naming the field that is no delta's. */
export function assertDelta(value: unknown): asserts value is Delta {
  const problem = findProblem(value);
  if (problem !== undefined) throw new RuntimeError("protocol", `the worker sent a delta with a bad ${problem}`);
}
