/** Content blocks of a message: text and tool calls, one after the other. */
import type { Delta, ToolCall, ToolCallPiece } from "@dyn/runtime/llm";
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

/** The events of the blocks of one stream. */
export class BlockEvents {
  /** Of the block that is open, or was last. */
  #index = -1;
  #open: "text" | "tool_use" | undefined;
  /** What stands before each text of the open block. */
  #before = "";

  /** All of one delta. */
  write({ text, toolCalls }: Delta): string {
    let events = "";
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

  #call({ id = "", name, arguments: text = "" }: ToolCallPiece): string {
    const block = { type: "tool_use", id: toUseId(id), name, input: {} };
    const events = name === undefined ? "" : this.#begin("tool_use", block);
    return text === "" ? events : `${events}${this.#before}${JSON.stringify(text)}}}\n\n`;
  }

  #begin(kind: "text" | "tool_use", block: unknown): string {
    const closed = this.#close();
    this.#index += 1;
    this.#open = kind;
    const delta = kind === "text" ? `"text_delta","text":` : `"input_json_delta","partial_json":`;
    this.#before = `event: content_block_delta\ndata: {"type":"content_block_delta","index":${this.#index},"delta":{"type":${delta}`;
    const start = event("content_block_start", { index: this.#index, content_block: block });
    return closed + start + (this.#index === 0 ? ping : ""); // where Anthropic's API has it
  }

  #close(): string {
    if (this.#open === undefined) return "";
    this.#open = undefined;
    return event("content_block_stop", { index: this.#index });
  }
}

/** The blocks of a unary answer. */
export function toBlocks({ text, toolCalls }: Pick<Choice, "text" | "toolCalls">): unknown[] {
  const said = text !== "" || toolCalls.length === 0 ? [{ type: "text", text }] : [];
  return [...said, ...toolCalls.map(toUse)];
}

function toUse({ id, name, arguments: text }: ToolCall): unknown {
  return { type: "tool_use", id: toUseId(id), name, input: toInput(text) };
}

// Arguments that were cut by max_tokens, or that an engine got wrong, are no object: there is no place for them here.
function toInput(text: string): unknown {
  try {
    const input: unknown = JSON.parse(text);
    return typeof input === "object" && input !== null && !Array.isArray(input) ? input : {};
  } catch {
    return {};
  }
}
