/** A plan, as the steps of an engine: deltas, one a token, and what happens between them. */
import type { Delta } from "@dyn/runtime/llm";
import { addText, beginHash } from "../hash.ts";
import type { Block, Plan } from "./plan.ts";

type Spoken = Extract<Block, { tokens: unknown }>;

/** A delta, or what comes before the next one: `pace` is its time in place of the worker's, a `delay` is added to that. */
export type Step =
  | (Delta & { readonly type?: never })
  | { readonly type: "pace"; readonly ms: number }
  | Exclude<Block, Spoken>;

export interface PlayOptions {
  /** The same seed and token give the same token id. */
  readonly seed: number;
  /** Tokens that another worker has made. */
  readonly done: number;
}

/** Play a plan, without what another worker has made of it. What goes wrong just there goes wrong again: whoever wrote it wants it to be seen. */
export function* play({ blocks, usage, finishReason }: Plan, { seed, done }: PlayOptions): Generator<Step, void, void> {
  let passed = 0; // tokens
  let calls = 0;
  for (const block of blocks) {
    if (!("tokens" in block)) {
      if (passed >= done) yield block;
      continue;
    }
    let at = 0; // in this block
    for (const token of block.type === "call" ? ["", ...block.tokens] : block.tokens) {
      passed += 1;
      if (passed > done) {
        const ms = block.waitsMs?.[at];
        if (ms !== undefined) yield { type: "pace", ms };
        yield block.type === "call"
          ? toPiece(block, calls, { at, token, seed })
          : toSpoken(block.type, token, toTokenId(seed, token));
      }
      at += 1;
    }
    if (block.type === "call") calls += 1;
  }
  if (usage || finishReason) yield { text: "", ...(usage && { usage }), ...(finishReason && { finishReason }) };
}

function toSpoken(type: "text" | "reasoning", token: string, id: number): Delta {
  return type === "text" ? { text: token, tokenIds: [id] } : { text: "", reasoning: token, tokenIds: [id] };
}

interface Place {
  readonly at: number;
  readonly token: string;
  readonly seed: number;
}

function toPiece({ name, kind, id }: Spoken & { type: "call" }, index: number, { at, token, seed }: Place): Delta {
  const isFirst = at === 0;
  const piece = isFirst
    ? { index, name, kind, arguments: "", ...(id !== undefined && { id }) }
    : { index, arguments: token };
  return { text: "", toolCalls: [piece], tokenIds: [toTokenId(seed, isFirst ? name : token)] };
}

function toTokenId(seed: number, text: string): number {
  return addText(beginHash(seed), text);
}
