/** Tool calls of one answer, piece by piece, however the upstream numbers them. */
import { isMap } from "@dyn/runtime/internal";
import type { ToolCallPiece } from "@dyn/runtime/llm";
import { toProtocolError } from "./failures.ts";

/** A call, as the upstream numbers it. */
interface Begun {
  readonly number: number;
  readonly id: string | undefined;
}

/** What one piece says. */
interface Piece {
  readonly number: number | undefined;
  readonly id: string | undefined;
  readonly name: string | undefined;
  readonly isCustom: boolean;
  readonly words: string;
}

/** Servers number calls as they like, not at all, or all of them 0; whole calls may come at once. */
export class Calls {
  readonly #begun: Begun[] = [];

  /** `tool_calls` of an event, or what is there in its place. @throws RuntimeError `protocol` for a piece of a call that has not begun. */
  read(given: unknown): readonly ToolCallPiece[] {
    return Array.isArray(given) ? given.flatMap((each) => this.#readPiece(each)) : [];
  }

  #readPiece(given: unknown): ToolCallPiece[] {
    if (!isMap(given)) return [];
    const { number: told, id, name, isCustom, words } = toPiece(given);
    const unnumbered = name === undefined ? this.#begun.at(-1)?.number : -1 - this.#begun.length;
    const number = told ?? unnumbered;
    const known = this.#begun.findLastIndex((call) => call.number === number);
    const isOther = name !== undefined && id !== undefined && this.#begun[known]?.id !== id;
    if (known >= 0 && !isOther) return [{ index: known, arguments: words }];
    if (name === undefined || number === undefined) throw toProtocolError("a piece of a tool call that has not begun");
    const index = this.#begun.push({ number, id }) - 1;
    return [{ index, name, ...(isCustom && { kind: "custom" }), ...(id !== undefined && { id }), arguments: words }];
  }
}

function toPiece({ index, custom, function: called, id }: Readonly<Record<string, unknown>>): Piece {
  const said = custom ?? called;
  const { name, input, arguments: text = input } = isMap(said) ? said : {};
  return {
    number: typeof index === "number" ? index : undefined,
    id: toText(id),
    name: toText(name),
    isCustom: isMap(custom),
    words: toWords(text),
  };
}

function toText(given: unknown): string | undefined {
  return typeof given === "string" && given !== "" ? given : undefined;
}

// Ollama's older versions send an object.
function toWords(given: unknown): string {
  if (typeof given === "string") return given;
  return given == null ? "" : JSON.stringify(given);
}
