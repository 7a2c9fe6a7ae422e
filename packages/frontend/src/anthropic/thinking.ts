/** Thinking, in Anthropic's words: permission to think, not an order to. What @anthropic-ai/sdk calls ThinkingConfigParam. */
import type { Reasoning } from "@dyn/runtime/llm";
import * as z from "zod";
import { described } from "../inference/described.ts";

/** Characters of an effort that is handed on. */
const maxEffortLength = 64;

/** As clients send it. */
export interface GivenThinking {
  readonly type: "adaptive" | "enabled" | "between_tools" | "disabled";
  readonly budget_tokens?: number | null | undefined;
  readonly display?: string | null | undefined;
}

export const thinkingField: z.ZodType<GivenThinking> = z.looseObject({
  type: described(
    "`disabled`: the model should not think. All others: it may.",
    z.enum(["adaptive", "enabled", "between_tools", "disabled"]),
  ),
  budget_tokens: described(
    "Most tokens of thinking, for the engine. They count among `max_tokens`.",
    z.int().min(1_024).nullish(),
  ),
  display: described(
    "`omitted`: blocks of thinking come without their text. All others: with it.",
    z.string().nullish(),
  ),
});

/** What engines see of it, and of `output_config.effort`. */
export function toReasoning(thinking: GivenThinking | null | undefined, effort: unknown): Reasoning | undefined {
  const word = typeof effort === "string" && effort !== "" && effort.length <= maxEffortLength ? { effort } : undefined;
  if (!thinking) return word;
  const { type, budget_tokens: budgetTokens } = thinking;
  return { isEnabled: type !== "disabled", ...word, ...(budgetTokens != null && { budgetTokens }) };
}
