/** Deltas of an engine or a worker that may be anybody's: narrowed before they are trusted. */
import { RuntimeError } from "../errors.ts";
import { describeValue } from "../excerpt.ts";
import { isMap } from "../wire/payload.ts";
import type { Delta, FinishReason } from "./contract.ts";
import { isLogprobs, isPromptLogprobs, maxTop } from "./logprobs.ts";
import { isPieces, maxToolCalls } from "./tool-calls.ts";

const finishReasons: ReadonlySet<unknown> = new Set<FinishReason>(["stop", "length", "content_filter", "tool_calls"]);

/** A number of something: whole, from 0, exact. */
export function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isTokenId(value: unknown): boolean {
  return typeof value === "number" && value >>> 0 === value; // a u32 on the plane
}

function isTokenIds(value: unknown): boolean {
  if (!Array.isArray(value)) return false;
  for (let index = 0; index < value.length; index += 1) if (!isTokenId(value[index])) return false; // every() passes over holes
  return true;
}

function isOptionalText(value: unknown): boolean {
  return value === undefined || typeof value === "string";
}

function isUsage(value: unknown): boolean {
  if (!isMap(value)) return false;
  const { promptTokens, completionTokens, cachedTokens, reasoningTokens } = value;
  const given = [promptTokens, completionTokens, cachedTokens, reasoningTokens].filter((count) => count !== undefined);
  return given.length > 0 && given.every(isCount);
}

// What each field must be, in the words of an error.
const fields = {
  text: 'a string, "" where there is none',
  reasoning: "a string",
  tokenIds: "a list of whole numbers from 0 to 4294967295",
  choice: "a whole number from 0",
  finishReason: [...finishReasons].join(", "),
  stopText: "a string",
  toolCalls: `a list of pieces, each with an index from 0 to ${maxToolCalls - 1}, and texts without half characters`,
  logprobs: `a list of tokens, each with a logprob of 0 or less, and at most ${maxTop} others in top`,
  promptLogprobs: "the same, the first one's logprob null",
  usage: "an object with promptTokens, completionTokens, cachedTokens or reasoningTokens, whole numbers from 0",
} as const;

function findProblem(value: Readonly<Record<string, unknown>>): keyof typeof fields | undefined {
  const { text, reasoning, tokenIds, choice, finishReason, stopText, toolCalls, logprobs, promptLogprobs, usage } =
    value;
  if (typeof text !== "string") return "text";
  if (!isOptionalText(reasoning)) return "reasoning";
  if (tokenIds !== undefined && !isTokenIds(tokenIds)) return "tokenIds";
  if (choice !== undefined && !isCount(choice)) return "choice";
  if (finishReason !== undefined && !finishReasons.has(finishReason)) return "finishReason";
  const isCommon = stopText === undefined && toolCalls === undefined && usage === undefined;
  return isCommon && logprobs === undefined && promptLogprobs === undefined ? undefined : findRareProblem(value);
}

// Of what most deltas are without.
function findRareProblem(value: Readonly<Record<string, unknown>>): keyof typeof fields | undefined {
  const { stopText, toolCalls, logprobs, promptLogprobs, usage } = value;
  if (!isOptionalText(stopText)) return "stopText";
  if (toolCalls !== undefined && !isPieces(toolCalls)) return "toolCalls";
  if (logprobs !== undefined && !isLogprobs(logprobs)) return "logprobs";
  if (promptLogprobs !== undefined && !isPromptLogprobs(promptLogprobs)) return "promptLogprobs";
  return usage === undefined || isUsage(usage) ? undefined : "usage";
}

/** @throws RuntimeError `protocol` naming the field that is no delta's. */
export function assertDelta(value: unknown): asserts value is Delta {
  const problem = isMap(value) ? findProblem(value) : "text";
  if (problem !== undefined) throw new RuntimeError("protocol", `the worker sent a delta with a bad ${problem}`);
}

/** The same for what an engine yields. @throws RuntimeError `internal` saying what was expected, for the engine's author. */
export function assertEngineDelta(value: unknown): asserts value is Delta {
  if (!isMap(value))
    throw new RuntimeError("internal", `the engine yielded ${describeValue(value)}, expected an object with text`);
  if ((value["choice"] ?? 0) !== 0)
    throw new RuntimeError("internal", "choice of a delta is the runtime's to say, the engine must leave it out");
  const problem = findProblem(value);
  if (problem === undefined) return;
  throw new RuntimeError(
    "internal",
    `${problem} of a delta must be ${fields[problem]}, the engine yielded ${describeValue(value[problem])}`,
  );
}
