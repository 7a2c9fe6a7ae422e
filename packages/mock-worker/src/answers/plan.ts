/** What an answer is made of, in its order. Whoever makes one makes the same one for the same request: another worker goes on with it, token by token. */
import type { RuntimeError } from "@dyn/runtime";
import type { FinishReason, ToolKind, Usage } from "@dyn/runtime/llm";
import type { Fault } from "../faults/faults.ts";

/** Tokens of an answer. They are asked for once, one after the other. */
interface Tokens {
  readonly tokens: Iterable<string>;
  /** Of each token, how long after what came before it, ms. Default: as the pace of the worker says. */
  readonly waitsMs?: readonly number[];
}

/** A part of an answer. */
export type Block =
  | (Tokens & { readonly type: "text" })
  /** What it thinks. */
  | (Tokens & { readonly type: "reasoning" })
  /** Tokens of a call: its name, then those of its arguments. */
  | (Tokens & { readonly type: "call"; readonly name: string; readonly kind: ToolKind; readonly id?: string })
  /** The next token comes so much later. */
  | { readonly type: "delay"; readonly ms: number }
  /** What goes wrong before the next token. */
  | { readonly type: "fault"; readonly fault: Fault }
  /** The answer ends with an error. */
  | { readonly type: "error"; readonly toError: () => RuntimeError };

/** All of an answer. */
export interface Plan {
  readonly blocks: readonly Block[];
  /** In place of what the runtime counts. */
  readonly usage?: Partial<Usage>;
  /** Default: as the runtime says, `stop`, or `tool_calls` after a call. */
  readonly finishReason?: FinishReason;
}
