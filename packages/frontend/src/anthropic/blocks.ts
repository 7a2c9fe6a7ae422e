/** Content blocks of a message: thinking, text and tool calls, one after the other. */
import type { Delta, ToolCall, ToolCallPiece } from "@dyn/runtime/llm";
import { parseExactJson } from "@dyn/runtime/internal";
import { GrowingText } from "../inference/growing-text.ts";
import { holdThinking, maxHeldChars, toSignature } from "./signature.ts";
import type { Choice } from "../inference/transcript.ts";

/** A named event of a stream. */
export function event(type: string, more: Readonly<Record<string, unknown>> = {}): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
}

/** What clients skip, also before message_start: those of Anthropic look at the name of the event alone. */
export const ping: string = event("ping");

// As Anthropic's look: clients may tell calls by it.
function toUseId(id: string): string {
  return id.startsWith("call_") ? `toolu_${id.slice("call_".length)}` : id;
}

type Kind = "thinking" | "text" | "tool_use";

// What begins each delta of a block.
const deltas: Readonly<Record<Kind, string>> = {
  thinking: `"thinking_delta","thinking":`,
  text: `"text_delta","text":`,
  tool_use: `"input_json_delta","partial_json":`,
};

/** How thinking is shown. */
export interface ThinkingShown {
  /** Blocks of thinking have a signature, but not its text. */
  readonly isOmitted: boolean;
  readonly requestId: string;
}

/** The events of the blocks of one stream. */
export class BlockEvents {
  readonly #shown: ThinkingShown;
  /** Thinking of the open block that its client does not see. */
  #omitted: GrowingText | undefined;
  #omittedChars = 0;
  /** Of the block that is open, or was last. */
  #index = -1;
  #open: Kind | undefined;
  /** What stands before each text of the open block. */
  #before = "";

  constructor(shown: ThinkingShown) {
    this.#shown = shown;
  }

  /** All of one delta. */
  write({ text, reasoning, toolCalls }: Delta): string {
    let events = reasoning === undefined || reasoning === "" ? "" : this.#think(reasoning);
    if (text !== "") {
      if (this.#open !== "text") events += this.#begin("text", { type: "text", text: "" });
      events += `${this.#before}${JSON.stringify(text)}}}\n\n`;
    }
    if (toolCalls) for (const piece of toolCalls) events += this.#call(piece);
    return events;
  }

  /** An answer has at least one block. */
  end(): string {
    const events = this.#index < 0 ? this.#begin("text", { type: "text", text: "" }) : "";
    return events + this.#close();
  }

  #think(reasoning: string): string {
    const block = { type: "thinking", thinking: "", signature: "" };
    const events = this.#open === "thinking" ? "" : this.#begin("thinking", block);
    if (!this.#shown.isOmitted) return `${events}${this.#before}${JSON.stringify(reasoning)}}}\n\n`;
    this.#omittedChars += reasoning.length;
    if (this.#omittedChars <= maxHeldChars) (this.#omitted ??= new GrowingText()).add(reasoning);
    else this.#omitted = undefined;
    return events;
  }

  #sign(): string {
    const text = this.#omitted?.join() ?? "";
    [this.#omitted, this.#omittedChars] = [undefined, 0];
    return holdThinking(text, this.#shown.requestId);
  }

  #call({ id = "", name, arguments: text = "" }: ToolCallPiece): string {
    const block = { type: "tool_use", id: toUseId(id), name, input: {} };
    const events = name === undefined ? "" : this.#begin("tool_use", block);
    return text === "" ? events : `${events}${this.#before}${JSON.stringify(text)}}}\n\n`;
  }

  #begin(kind: Kind, block: unknown): string {
    const closed = this.#close();
    this.#index += 1;
    this.#open = kind;
    this.#before = `event: content_block_delta\ndata: {"type":"content_block_delta","index":${this.#index},"delta":{"type":${deltas[kind]}`;
    const start = event("content_block_start", { index: this.#index, content_block: block });
    return closed + start + (this.#index === 0 ? ping : ""); // where Anthropic's API has it
  }

  #close(): string {
    if (this.#open === undefined) return "";
    const index = this.#index;
    const isThinking = this.#open === "thinking";
    this.#open = undefined;
    const end = event("content_block_stop", { index });
    if (!isThinking) return end;
    return event("content_block_delta", { index, delta: { type: "signature_delta", signature: this.#sign() } }) + end;
  }
}

/** The blocks of a unary answer. */
export function toBlocks(
  { text, reasoning, toolCalls }: Pick<Choice, "text" | "reasoning" | "toolCalls">,
  { isOmitted, requestId }: ThinkingShown,
): unknown[] {
  const signature = isOmitted ? holdThinking(reasoning, requestId) : toSignature(requestId);
  const thought = reasoning === "" ? [] : [{ type: "thinking", thinking: isOmitted ? "" : reasoning, signature }];
  const said = text !== "" || thought.length + toolCalls.length === 0 ? [{ type: "text", text }] : [];
  return [...thought, ...said, ...toolCalls.map(toUse)];
}

function toUse({ id, name, arguments: text }: ToolCall): unknown {
  return { type: "tool_use", id: toUseId(id), name, input: toInput(text) };
}

// Arguments that were cut by max_tokens, or that an engine got wrong, are no object: there is no place for them here.
function toInput(text: string): unknown {
  if (!/^\s*\{/.test(text)) return {};
  try {
    return parseInput(text);
  } catch {
    return {};
  }
}

// With every digit, unless it is nested too deep for that.
function parseInput(text: string): unknown {
  try {
    return parseExactJson(text, "input");
  } catch {
    return JSON.parse(text);
  }
}
