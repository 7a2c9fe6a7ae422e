/** Tool calls as OpenAI's chat completions have them. */
import type { ToolCall, ToolCallPiece, ToolKind } from "@dyn/runtime/llm";

/** In a message. */
export function toToolCall({ id, name, kind, arguments: text }: ToolCall): unknown {
  if (kind === "custom") return { id, type: kind, custom: { name, input: text } };
  return { id, type: kind, function: { name, arguments: text } };
}

/** The pieces of one choice's calls, as `tool_calls` of chunks have them. */
export class ToolCallChunks {
  #kind: ToolKind = "function";

  /** JSON of a list with one member. */
  write({ index, id, name, kind, arguments: text = "" }: ToolCallPiece): string {
    if (name === undefined) return JSON.stringify([{ index, ...this.#toBody({}, text) }]);
    this.#kind = kind ?? "function";
    return JSON.stringify([{ index, id, type: this.#kind, ...this.#toBody({ name }, text) }]);
  }

  // Pieces belong to the call that has begun last.
  #toBody(head: { readonly name?: string }, text: string): Record<string, unknown> {
    return this.#kind === "custom" ? { custom: { ...head, input: text } } : { function: { ...head, arguments: text } };
  }
}
