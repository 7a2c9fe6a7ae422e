/** Parts of messages: their text, what is no text, and what engines see of either. */
import type { Logger } from "@dyn/runtime/internal";
import type { MediaPart, MessagePart, ToolCall } from "@dyn/runtime/llm";
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
  /** What an assistant thought. */
  readonly reasoning?: string;
  /** The call whose result it is. */
  readonly toolCallId?: string | undefined;
  /** What it is, if it is no text and of a kind that an engine may read. */
  readonly media?: MediaPart;
  /** What it holds, of a result of a tool. */
  readonly content?: Content | null | undefined;
  /** What engines see of it; undefined if it says something that is no text. */
  readonly text?: string | undefined;
  /** Kinds of parts inside it that are no text. */
  readonly skipped?: readonly string[];
}

export type Content = string | readonly Part[];

/** Kinds that are named in the log; a body may hold thousands. */
export const maxKinds = 16;

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

/** The kinds of its parts that nobody reads, or that hold such. */
export function skippedOf(content: Content | null | undefined): string[] {
  if (content == null || typeof content === "string") return [];
  return content.flatMap(({ type, text, media, skipped = [] }) =>
    text === undefined && !media ? [toName(type)] : skipped,
  );
}

/** Where a URL leads: a data URL is the bytes themselves. */
export function toPlace(url: string): Pick<MediaPart, "url" | "data" | "mediaType"> {
  const comma = url.startsWith("data:") ? url.indexOf(",") : -1;
  const head = url.slice("data:".length, Math.max(0, comma));
  if (comma < 0 || !head.endsWith(";base64")) return { url };
  const [mediaType = ""] = head.split(";");
  return { data: url.slice(comma + 1), ...(mediaType !== "" && { mediaType }) };
}

/** All of its parts, if one of them is no text that an engine may read. */
export function toParts(content: Content | null | undefined): readonly MessagePart[] | undefined {
  if (content == null || typeof content === "string" || !content.some(({ media }) => media)) return undefined;
  return content.flatMap(({ text, media }): MessagePart[] =>
    media ? [media] : text === undefined || text === "" ? [] : [{ kind: "text", text }],
  );
}

/** Which of the messages are the user's last question: from there on those of the user. */
export function findQuestion(messages: readonly Said[]): number {
  const last = messages.findLastIndex(isAsked);
  return messages.findLastIndex(({ role }, index) => role === "assistant" && index < last) + 1;
}

/** Kinds of parts that nobody reads, each once. A conversation goes on without them, but what the user asks last cannot be answered without.
 *  `field` holds them. @throws FieldError naming the first such part. */
export function skipParts(messages: readonly Said[], field = "messages"): readonly string[] {
  const begin = findQuestion(messages);
  const skipped = new Set<string>();
  for (const [index, { role, content }] of messages.entries()) {
    if (role === "user" && index >= begin) assertRead(content, `${field}[${index}].content`);
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

function assertRead(content: Content | null | undefined, path: string): void {
  if (content == null || typeof content === "string") return;
  const at = content.findIndex(
    ({ role, text, media, skipped = [] }) =>
      (text === undefined && !media) || (role === undefined && skipped.length > 0),
  );
  const part = content[at];
  if (part) throw toRefusal(`${path}[${at}].type`, part.type);
}

/** A part that would have to be read. */
export function toRefusal(param: string, type: string): FieldError {
  return new FieldError(param, `: ${toName(type)} is not read by this model; in earlier turns it is skipped`);
}

/** As clients and the log read it. */
export function toName(type: string): string {
  return /^[\w.-]{1,64}$/.test(type) ? type : "an unknown kind";
}
