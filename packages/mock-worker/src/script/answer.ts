/** What a rule answers, as a plan. It is made once, when the script is read. */
import { RuntimeError, type ErrorCode } from "@dyn/runtime";
import type { FinishReason, Usage } from "@dyn/runtime/llm";
import type { Block, Plan } from "../answers/plan.ts";
import type { Fault } from "../faults/faults.ts";
import type { Fixture, FixtureBlock, FixtureError, FixtureResponse, FixtureUsage } from "./format.ts";
import { isWorkerCode, statuses } from "./statuses.ts";
import { toTokens, toWaitOf, type WaitOf } from "./tokens.ts";

/** The plan of a rule; undefined for one that has no response. */
export function compileAnswer(fixture: Fixture): Plan | undefined {
  const { response, truncateAfterChunks } = fixture;
  if (!response) return undefined;
  const waitOf = toWaitOf(fixture);
  let count = 0; // tokens
  const all: Block[] = [];
  for (const block of listBlocks(response)) {
    const made = toBlock(block, fixture);
    if (!("tokens" in made)) all.push(made);
    else {
      const size = sizeOf(made);
      all.push(waitOf ? { ...made, waitsMs: toWaits(waitOf, count, size) } : made);
      count += size;
    }
  }
  const { usage, finishReason } = response;
  return {
    blocks: truncateAfterChunks === undefined ? all : truncate(all, truncateAfterChunks),
    ...(usage && { usage: toUsage(usage) }),
    ...(finishReason && { finishReason: finishReason satisfies FinishReason }),
  };
}

function toWaits(waitOf: WaitOf, from: number, count: number): number[] {
  // A hole leaves the token to the pace of the worker.
  const waits: number[] = [];
  for (let at = 0; at < count; at += 1) {
    const ms = waitOf(from + at);
    if (ms !== undefined) waits[at] = ms;
  }
  return waits;
}

function sizeOf(block: Extract<Block, { tokens: unknown }>): number {
  return [...block.tokens].length + (block.type === "call" ? 1 : 0); // the name of a call is one
}

function listBlocks({ error, status, retryAfter, blocks, ...response }: FixtureResponse): readonly FixtureBlock[] {
  if (error)
    return [
      {
        type: "error",
        error,
        ...(status !== undefined && { status }),
        ...(retryAfter !== undefined && { retryAfter }),
      },
    ];
  if (blocks) return blocks;
  const { reasoning, content, toolCalls = [] } = response;
  const all: FixtureBlock[] = [];
  if (reasoning !== undefined) all.push({ type: "reasoning", text: reasoning });
  if (content !== undefined) all.push({ type: "text", text: toText(content) });
  for (const call of toolCalls) all.push({ type: "toolCall", ...call });
  return all;
}

function toText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function toBlock(block: FixtureBlock, { chunkSize, response }: Fixture): Block {
  switch (block.type) {
    case "text":
    case "reasoning": {
      const { type, text, chunks } = block;
      const isJson = type === "text" && !response?.blocks && typeof response?.content !== "string";
      return { type, tokens: toTokens(text, { chunks, chunkSize, isJson }) };
    }
    case "toolCall": {
      const { name, id, kind = "function", chunks } = block;
      const tokens = toTokens(toText(block.arguments), { chunks, chunkSize, isJson: true });
      return { type: "call", name, kind, ...(id !== undefined && { id }), tokens };
    }
    case "delay":
      return block;
    case "fault":
      return { type: "fault", fault: toFault(block.fault) };
    case "error":
      return { type: "error", toError: () => toError(block.error, block) };
  }
}

function toFault(type: "hang" | "cut" | "crash" | "garbage"): Fault {
  return { type, afterTokens: 0, rate: 1 };
}

interface ErrorFacts {
  readonly status?: number;
  readonly retryAfter?: number;
}

function toError({ message, code: given, param }: FixtureError, { status, retryAfter }: ErrorFacts): RuntimeError {
  const isOurs = status === undefined && isWorkerCode(given);
  const code: ErrorCode = isOurs ? given : (statuses.get(status ?? 500) ?? "internal");
  return new RuntimeError(code, message ?? `as the script says: ${code}`, {
    ...(given !== undefined && !isOurs && { apiCode: given }),
    ...(typeof param === "string" && { param }),
    ...(retryAfter !== undefined && { retryAfterMs: retryAfter * 1_000 }),
  });
}

function toUsage(usage: FixtureUsage): Partial<Usage> {
  const promptTokens = usage.prompt_tokens ?? usage.input_tokens;
  const completionTokens = usage.completion_tokens ?? usage.output_tokens;
  const cachedTokens = usage.prompt_tokens_details?.cached_tokens;
  const reasoningTokens = usage.completion_tokens_details?.reasoning_tokens;
  return {
    ...(promptTokens !== undefined && { promptTokens }),
    ...(completionTokens !== undefined && { completionTokens }),
    ...(cachedTokens !== undefined && { cachedTokens }),
    ...(reasoningTokens !== undefined && { reasoningTokens }),
  };
}

// The beginning of an answer, and then the end of the connection.
function truncate(blocks: readonly Block[], most: number): Block[] {
  const kept: Block[] = [];
  let left = most;
  for (const block of blocks) {
    if (!("tokens" in block)) kept.push(block);
    else if (left > 0) {
      const argumentCount = block.type === "call" ? left - 1 : left;
      kept.push({ ...block, tokens: [...block.tokens].slice(0, argumentCount) });
      left -= sizeOf(block);
    }
    if (left <= 0) break;
  }
  return [...kept, { type: "fault", fault: toFault("cut") }];
}
