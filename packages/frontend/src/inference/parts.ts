/** Parts of messages: the text that engines see of them, and what becomes of those that are no text. */
import type { Logger } from "@dyn/runtime/internal";
import type { ToolCall } from "@dyn/runtime/llm";
import * as z from "zod";
import { chosenBy, kindOf, listOf } from "./field-kinds.ts";
import { FieldError } from "./fields.ts";

/** A part of a message. */
export interface Part {
  readonly type: string;
  /** Whose words it has, if they are not those of the message's role. */
  readonly role?: "tool";
  /** What it calls. */
  readonly toolCall?: ToolCall;
  /** The call whose result it is. */
  readonly toolCallId?: string | undefined;
  /** What engines see of it; undefined if it says something that is no text. */
  readonly text?: string | undefined;
  /** Kinds of parts inside it that are no text. */
  readonly skipped?: readonly string[];
}

export type Content = string | readonly Part[];

/** Kinds that are named in the log; a body may hold thousands. */
const maxKinds = 16;

/** A message whose parts have been read. */
export interface Said {
  readonly role: string;
  readonly content?: Content | null | undefined;
}

export const textPart: z.ZodType<Part> = z
  .object({ text: z.string() })
  .transform(({ text }) => ({ type: "text", text }));

/** A text, or a list of parts of any kind: `known` are those in which there is text. */
export function contentOf(known: Readonly<Record<string, z.ZodType<Part>>>, words: string): z.ZodType<Content> {
  const text = z.string({ error: words });
  const parts = listOf(kindOf<Part>(known, (type) => ({ type })));
  return chosenBy<Content>([text, parts], (given) => (Array.isArray(given) ? parts : text));
}

/** All that engines see of it. */
export function toText(content: Content | null | undefined): string {
  if (content == null || typeof content === "string") return content ?? "";
  return content.map(({ text }) => text ?? "").join("");
}

/** The kinds of its parts that are no text, or hold something that is none. */
export function skippedOf(content: Content | null | undefined): string[] {
  if (content == null || typeof content === "string") return [];
  return content.flatMap(({ type, text, skipped = [] }) => (text === undefined ? [toName(type)] : skipped));
}

/** Kinds of parts that engines do not see, each once. A conversation goes on without them, but what the user asks last cannot be answered without.
 *  @throws FieldError naming the first such part. */
export function skipParts(messages: readonly Said[]): readonly string[] {
  const last = messages.findLastIndex(isAsked);
  const begin = messages.findLastIndex(({ role }, index) => role === "assistant" && index < last) + 1;
  const skipped = new Set<string>();
  for (const [index, { role, content }] of messages.entries()) {
    if (role === "user" && index >= begin) assertText(content, `messages[${index}].content`);
    for (const type of skippedOf(content)) if (skipped.size < maxKinds) skipped.add(type);
  }
  return [...skipped];
}

// Anthropic's clients send results of tools under the user's name.
function isAsked({ role, content }: Said): boolean {
  return role === "user" && (typeof content === "string" || content?.some((part) => part.role === undefined) === true);
}

/** Say what a job is without. */
export function logSkipped(log: Logger, skipped: readonly string[] | undefined): void {
  if (skipped === undefined || skipped.length === 0) return;
  log
    .child({ target: "dyn_frontend::parts" })
    .debug({ skipped_parts: skipped.join(", ") }, "parts of messages skipped");
}

function assertText(content: Content | null | undefined, path: string): void {
  if (content == null || typeof content === "string") return;
  const at = content.findIndex(
    ({ role, text, skipped = [] }) => text === undefined || (role === undefined && skipped.length > 0),
  );
  const part = content[at];
  if (!part) return;
  const problem = `: ${toName(part.type)} is not supported, only text is; in earlier turns it is skipped`;
  throw new FieldError(`${path}[${at}].type`, problem);
}

// Clients and the log read it.
function toName(type: string): string {
  return /^[\w.-]{1,64}$/.test(type) ? type : "an unknown kind";
}
