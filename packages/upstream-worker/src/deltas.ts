/** What the upstream answers, piece by piece, as deltas. */
import { RuntimeError } from "@dyn/runtime";
import { excerpt, isMap } from "@dyn/runtime/internal";
import type { Delta, FinishReason, Usage } from "@dyn/runtime/llm";
import { Calls } from "./calls.ts";
import { findToldError, parse, toProtocolError } from "./failures.ts";
import { toLogprobs } from "./logprobs.ts";

type Json = Readonly<Record<string, unknown>>;

const maxShownChars = 200;

/** Turns the events of one answer into deltas. What ends it is held back until the stream has: the usage comes last. */
export class Answer {
  #finishReason: FinishReason | undefined;
  #isDone = false;
  readonly #calls = new Calls();

  /** True once the upstream has said why the answer ends; its usage may still come. */
  get isFinished(): boolean {
    return this.#finishReason !== undefined;
  }

  /** True once nothing more can come: the upstream has said so. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** @returns undefined if it says nothing new. @throws RuntimeError for one that tells of an error, and `protocol` for one that is no piece of an answer. */
  read(data: string): Delta | undefined {
    if (data.trim() === "[DONE]") {
      this.#isDone = true;
      return undefined;
    }
    const event = parse(data);
    const told = findToldError(event);
    if (told) throw told;
    if (!isMap(event) || !(Array.isArray(event["choices"]) || isMap(event["usage"])))
      throw toProtocolError(`an event that is no piece of an answer: ${JSON.stringify(excerpt(data, maxShownChars))}`);
    return this.#toDelta(event);
  }

  /** The last delta. @throws RuntimeError `unavailable` if the stream has ended before the answer. */
  end(): Delta {
    if (this.#finishReason === undefined && !this.#isDone)
      throw new RuntimeError("unavailable", "the upstream's answer ended without finish_reason and without [DONE]");
    return { text: "", ...(this.#finishReason !== undefined && { finishReason: this.#finishReason }) };
  }

  #toDelta({ choices, usage }: Json): Delta | undefined {
    const choice: unknown = Array.isArray(choices) ? choices[0] : undefined;
    const given = isMap(choice) ? choice : {};
    this.#finishReason = toFinishReason(given["finish_reason"]) ?? this.#finishReason;
    const said = isMap(given["delta"]) ? given["delta"] : isMap(given["message"]) ? given["message"] : given;
    const text = [said["content"], said["refusal"], said["text"]].filter((each) => typeof each === "string").join("");
    const toolCalls = this.#calls.read(said["tool_calls"]);
    const reasoning = toThought(said);
    const counts = toUsage(usage);
    const logprobs = text === "" ? undefined : toLogprobs(given["logprobs"]);
    if (text === "" && reasoning === "" && toolCalls.length === 0 && !counts) return undefined;
    return {
      text,
      ...(reasoning !== "" && { reasoning }),
      ...(toolCalls.length > 0 && { toolCalls }),
      ...(logprobs && { logprobs }),
      ...(counts && { usage: counts }),
    };
  }
}

// DeepSeek's word, which llama-server has too, and that of Ollama, OpenRouter and newer versions of vLLM. Some servers say both.
function toThought({ reasoning_content: content, reasoning }: Json): string {
  if (typeof content === "string" && content !== "") return content;
  return typeof reasoning === "string" ? reasoning : "";
}

const finishReasons: Readonly<Record<string, FinishReason>> = {
  stop: "stop",
  length: "length",
  content_filter: "content_filter",
  tool_calls: "tool_calls",
  function_call: "tool_calls",
};

function toFinishReason(given: unknown): FinishReason | undefined {
  return typeof given === "string" ? (finishReasons[given] ?? "stop") : undefined;
}

// Counts that are none are left out: the runtime has its own.
function toUsage(given: unknown): Partial<Usage> | undefined {
  if (!isMap(given)) return undefined;
  const { prompt_tokens_details: prompt, completion_tokens_details: completion } = given;
  const counts = {
    promptTokens: given["prompt_tokens"],
    completionTokens: given["completion_tokens"],
    cachedTokens: isMap(prompt) ? prompt["cached_tokens"] : undefined,
    reasoningTokens: isMap(completion) ? completion["reasoning_tokens"] : undefined,
  };
  const known = Object.entries(counts).filter(([, count]) => Number.isSafeInteger(count) && Number(count) >= 0);
  return known.length > 0 ? Object.fromEntries(known) : undefined;
}
