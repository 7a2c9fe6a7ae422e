/** Jobs of a caller that may be anybody: an engine gets what its types promise. */
import { RuntimeError } from "../errors.ts";
import { isMap } from "../wire/payload.ts";
import type { ModelJob, WorkerRole } from "./contract.ts";
import { isCount } from "./deltas.ts";
import { maxDimensions, maxInputs } from "./embeddings.ts";
import { isLogprobsRequest, maxTop } from "./logprobs.ts";
import { isTools } from "./tool-json.ts";

/** Most completions one job may ask for. */
export const maxChoices = 1_024;

/** Most texts that may end a completion: each costs its share of every character of the answer. */
export const maxStops = 1_024;

function isText(value: unknown): boolean {
  return typeof value === "string";
}

function isListOf(value: unknown, isItem: (item: unknown) => boolean): value is unknown[] {
  return Array.isArray(value) && value.every(isItem);
}

function isMessage(value: unknown): boolean {
  if (!isMap(value)) return false;
  const { role, text, name = "", toolCallId = "", reasoning = "", toolCalls, parts } = value;
  return (
    isText(role) &&
    isText(text) &&
    isText(name) &&
    isText(toolCallId) &&
    isText(reasoning) &&
    (toolCalls === undefined || isListOf(toolCalls, isToolCall)) &&
    (parts === undefined || isListOf(parts, isPart))
  );
}

function isPart(value: unknown): boolean {
  return isMap(value) && isText(value["kind"]);
}

function isToolChoice(value: unknown): boolean {
  if (!isMap(value)) return false;
  const { mode, name = "", allowed = [] } = value;
  return isText(mode) && isText(name) && isListOf(allowed, isText);
}

function isPrompt(value: unknown): boolean {
  return (
    isMap(value) && isText(value["text"]) && (value["tokenIds"] === undefined || isListOf(value["tokenIds"], isCount))
  );
}

function isBegun(value: unknown): boolean {
  return (
    isMap(value) &&
    isText(value["text"]) &&
    isCount(value["tokens"]) &&
    isText(value["reasoning"] ?? "") &&
    isCount(value["reasoningTokens"] ?? 0) &&
    (value["tokenIds"] === undefined || isListOf(value["tokenIds"], isCount)) &&
    (value["toolCalls"] === undefined || isListOf(value["toolCalls"], isToolCall))
  );
}

function isReasoning(value: unknown): boolean {
  if (!isMap(value)) return false;
  const { isEnabled, effort, budgetTokens } = value;
  return typeof (isEnabled ?? true) === "boolean" && isText(effort ?? "") && isCount(budgetTokens ?? 0);
}

function isToolCall(value: unknown): boolean {
  return isMap(value) && ["id", "name", "kind", "arguments"].every((name) => isText(value[name]));
}

function isEmbedding(value: unknown): boolean {
  if (!isMap(value)) return false;
  const { dimensions = 1 } = value;
  return isCount(dimensions) && dimensions >= 1 && dimensions <= maxDimensions;
}

function isPrefill(value: unknown): boolean {
  return (
    isMap(value) && Array.isArray(value["results"]) && isText(value["traceId"] ?? "") && isText(value["spanId"] ?? "")
  );
}

function isSampling(value: unknown): boolean {
  if (!isMap(value)) return false;
  const { seed, ...others } = value;
  return (
    (seed == null || typeof seed === "bigint" || Number.isInteger(seed)) &&
    Object.values(others).every((each) => typeof each === "number" || each === null)
  );
}

// What each field must be, if it is there, in the words of a refusal.
const optional: Readonly<Record<string, readonly [words: string, isValid: (value: unknown) => boolean]>> = {
  model: ["a string", isText],
  maxTokens: ["a whole number", isCount],
  minTokens: ["a whole number", isCount],
  ignoreEos: ["true or false", (value) => typeof value === "boolean"],
  prompt: ["a map with text", isPrompt],
  prompts: ["a list of maps with text", (value) => isListOf(value, isPrompt)],
  tools: ["a list of maps with name", isTools],
  exactJson: [
    "a map of JSON texts",
    (value) => isMap(value) && Object.values(value).every((text) => isText(text ?? "")),
  ],
  responseFormat: ["a map", isMap],
  extra: ["a map", isMap],
  reasoning: ["a map with isEnabled, effort or budgetTokens", isReasoning],
  toolChoice: ["a map with mode", isToolChoice],
  parallelToolCalls: ["true or false", (value) => typeof value === "boolean"],
  logprobs: [`a map with top, a whole number from 0 to ${maxTop}`, isLogprobsRequest],
  prefill: ["a map with results", isPrefill],
  embedding: [`a map, its dimensions from 1 to ${maxDimensions}`, isEmbedding],
  begun: ["a list of maps with text and tokens", (value) => isListOf(value, isBegun)],
};
const required: typeof optional = {
  messages: ["a list of maps with role and text", (value) => isListOf(value, isMessage)],
  stop: [`a list of strings, at most ${maxStops}`, (value) => isListOf(value, isText) && value.length <= maxStops],
  sampling: ["a map of numbers, the seed a whole one", isSampling],
};

/** The frontend validates; another caller of the endpoint may not. @throws RuntimeError `invalid_argument` naming the field. */
export function checkJob(job: ModelJob, role: WorkerRole): ModelJob {
  const shape: unknown = job;
  if (!isMap(shape)) throw new RuntimeError("invalid_argument", "request must be a map");
  for (const [name, [words, isValid]] of [...Object.entries(required), ...Object.entries(optional)]) {
    const value = shape[name];
    if (!(value === undefined && Object.hasOwn(optional, name)) && !isValid(value))
      throw new RuntimeError("invalid_argument", `${name} of the request must be ${words}`);
  }
  const { n = 1, prompts = [0] } = shape;
  const most = shape["embedding"] === undefined ? maxChoices : maxInputs;
  if (!isCount(n) || !Array.isArray(prompts) || !(n * prompts.length >= 1 && n * prompts.length <= most)) {
    throw new RuntimeError("invalid_argument", `request must have 1 to ${most} choices, n for each of its prompts`);
  }
  if (role === "decode" && shape["prefill"] === undefined) {
    throw new RuntimeError("invalid_argument", "a decode worker needs the list prefill.results of a prefill worker");
  }
  return job;
}
