/** Thinking, in the words of chat completions: how much of it, and what clients send back. */
import type { Reasoning } from "@dyn/runtime/llm";
import * as z from "zod";
import { described } from "../inference/described.ts";

/** Models have words of their own for it, and new ones every year. */
export const effortField: z.ZodString = described("How much the model thinks.", z.string().min(1).max(64));

/** What engines see of it. */
export function toReasoning(effort: string): Reasoning {
  return effort === "none" ? { isEnabled: false } : { isEnabled: true, effort };
}

/** What an assistant thought, as servers have said it; other forms are for other servers. */
export function toReasoningText(given: unknown): string | undefined {
  return typeof given === "string" && given !== "" ? given : undefined;
}
