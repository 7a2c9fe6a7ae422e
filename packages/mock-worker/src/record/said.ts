/** What a model has said, piece by piece with its time, and the rule that says it again. */
import type { Delta, FinishReason, ModelRequest, ToolKind, Usage } from "@dyn/runtime/llm";
import type { Fixture, FixtureBlock, FixtureUsage } from "../script/format.ts";
import { toRequestHash } from "../script/request-hash.ts";

interface Call {
  readonly name: string;
  readonly kind: ToolKind;
  readonly id: string | undefined;
}

interface Part {
  readonly type: "text" | "reasoning" | Call;
  readonly pieces: string[];
}

/** Characters of the user's message that are written down for people who read the file. */
const maxShownChars = 200;

/** One answer, as it comes. */
export class Said {
  readonly #parts: Part[] = [];
  /** Of each token, ms. */
  readonly #waitsMs: number[] = [];
  #usage: Partial<Usage> = {};
  #finishReason: FinishReason | undefined;
  #passedMs = 0;

  /** True once its end has been said. */
  get isWhole(): boolean {
    return this.#finishReason !== undefined;
  }

  /** `afterMs`: how long after the delta before it. */
  add({ text, reasoning = "", toolCalls = [], usage, finishReason }: Delta, afterMs: number): void {
    this.#passedMs += afterMs;
    if (reasoning !== "") this.#addPiece("reasoning", reasoning);
    if (text !== "") this.#addPiece("text", text);
    for (const { name, id, kind = "function", arguments: piece = "" } of toolCalls) {
      if (name !== undefined) {
        this.#parts.push({ type: { name, kind, id }, pieces: [] });
        this.#addWait();
      }
      if (piece !== "") this.#addPiece(this.#parts.at(-1)?.type ?? "text", piece);
    }
    this.#usage = { ...this.#usage, ...usage };
    this.#finishReason = finishReason ?? this.#finishReason;
  }

  // Time that passed without a token belongs to the next one.
  #addWait(): void {
    this.#waitsMs.push(Math.round(this.#passedMs * 10) / 10);
    this.#passedMs = 0;
  }

  #addPiece(type: Part["type"], piece: string): void {
    const last = this.#parts.at(-1);
    if (last?.type === type) last.pieces.push(piece);
    else this.#parts.push({ type, pieces: [piece] });
    this.#addWait();
  }

  /** The rule that answers the same request in the same way. */
  toFixture(request: ModelRequest): Fixture {
    const [ttftMs = this.#passedMs, ...interChunkDelaysMs] = this.#waitsMs;
    const usage = toUsage(this.#usage);
    return {
      match: { ...toHint(request), requestHash: toRequestHash(request) },
      response: {
        blocks: this.#parts.map(toBlock),
        ...(usage && { usage }),
        ...(this.#finishReason && { finishReason: this.#finishReason }),
      },
      recordedTimings: { ttftMs, interChunkDelaysMs },
    };
  }
}

// People see which request it was, and may take the hash away to have the rule fit more of them.
function toHint({ model, messages }: ModelRequest): Fixture["match"] {
  const said = messages.findLast(({ role, text }) => role === "user" && text !== "")?.text;
  const turnIndex = messages.filter(({ role }) => role === "assistant").length;
  return { model, ...(said !== undefined && { userMessage: said.slice(0, maxShownChars).toWellFormed() }), turnIndex };
}

function toBlock({ type, pieces }: Part): FixtureBlock {
  const text = pieces.join("");
  const chunks = pieces.map((piece) => Array.from(piece).length);
  if (typeof type === "string") return { type, text, chunks };
  const { name, id, kind } = type;
  return {
    type: "toolCall",
    name,
    ...(kind === "custom" && { kind }),
    ...(id !== undefined && { id }),
    arguments: text,
    chunks,
  };
}

function toUsage({
  promptTokens,
  completionTokens,
  cachedTokens,
  reasoningTokens,
}: Partial<Usage>): FixtureUsage | undefined {
  const usage: FixtureUsage = {
    ...(promptTokens !== undefined && { prompt_tokens: promptTokens }),
    ...(completionTokens !== undefined && { completion_tokens: completionTokens }),
    ...(cachedTokens !== undefined && { prompt_tokens_details: { cached_tokens: cachedTokens } }),
    ...(reasoningTokens !== undefined && { completion_tokens_details: { reasoning_tokens: reasoningTokens } }),
  };
  return Object.keys(usage).length > 0 ? usage : undefined;
}
