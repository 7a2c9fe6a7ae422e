/** Tool calls of a completion: pieces that an engine yields, checked and given ids, and what they come to. */
import type { RuntimeError } from "../errors.ts";
import { createRequestId } from "../ids.ts";
import { isMap } from "../wire/payload.ts";
import type { ToolCall, ToolCallPiece, ToolKind } from "./contract.ts";

/** Most calls of one completion. */
export const maxToolCalls = 128;
/** Characters of a name and of an id. */
const maxNameLength = 256;

const kinds: ReadonlySet<unknown> = new Set<ToolKind>(["function", "custom"]);

function isName(value: unknown): boolean {
  return typeof value === "string" && value !== "" && value.length <= maxNameLength && value.isWellFormed();
}

function isPiece(value: unknown): value is ToolCallPiece {
  if (!isMap(value)) return false;
  const { index, name, id, kind, arguments: text } = value;
  return (
    typeof index === "number" &&
    index >= 0 &&
    index < maxToolCalls &&
    Number.isInteger(index) &&
    (name === undefined || isName(name)) &&
    (id === undefined || isName(id)) &&
    (kind === undefined || kinds.has(kind)) &&
    (text === undefined || (typeof text === "string" && text.isWellFormed()))
  );
}

/** A list of pieces, whatever order they are in. */
export function isPieces(value: unknown): value is readonly ToolCallPiece[] {
  return Array.isArray(value) && value.length <= maxToolCalls && value.every(isPiece);
}

/** The calls of one completion as its pieces come, each a piece of the last call or the first of the next. */
export class ToolCalls {
  readonly #calls: { id: string; name: string; kind: ToolKind; arguments: string }[];
  #keepsArguments: boolean;

  /** `begun`: calls that another worker has made. Arguments are kept for whoever wants `list`. */
  constructor(begun: readonly ToolCall[] = [], keepsArguments = true) {
    this.#calls = begun.map(({ id, name, kind, arguments: text }) => ({ id, name, kind, arguments: text }));
    this.#keepsArguments = keepsArguments;
  }

  get count(): number {
    return this.#calls.length;
  }

  get list(): readonly ToolCall[] {
    return this.#calls;
  }

  /** Arguments are needed no longer. */
  forget(): void {
    this.#keepsArguments = false;
    for (const call of this.#calls) call.arguments = "";
  }

  /** Add pieces. @returns them with an id and a kind at the beginning of each call. `fault` makes the error of a piece that belongs nowhere. */
  add(pieces: readonly ToolCallPiece[], fault: (problem: string) => RuntimeError): readonly ToolCallPiece[] {
    return pieces.map((piece) => this.#add(piece, fault));
  }

  #add(piece: ToolCallPiece, fault: (problem: string) => RuntimeError): ToolCallPiece {
    const { index, name, id, kind = "function", arguments: text = "" } = piece;
    if (index === this.#calls.length) {
      if (name === undefined) throw fault(`the first piece of tool call ${index} must have a name`);
      const begun = { id: id ?? createCallId(), name, kind, arguments: this.#keepsArguments ? text : "" };
      this.#calls.push(begun);
      return { ...piece, id: begun.id, kind };
    }
    const call = this.#calls[index];
    if (!call || index !== this.#calls.length - 1)
      throw fault(`a piece of tool call ${index} came after ${this.#calls.length} had begun`);
    if (name !== undefined || id !== undefined)
      throw fault(`only the first piece of tool call ${index} may have a name and an id`);
    if (this.#keepsArguments) call.arguments += text;
    return piece;
  }
}

// As OpenAI's look: 24 characters that nobody else has.
function createCallId(): string {
  return `call_${createRequestId().replaceAll("-", "").slice(0, 24)}`;
}
