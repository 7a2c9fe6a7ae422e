/** Parts of messages that are no text: where they are, and which of them the engine of a model reads. */
import type { Logger, ModelJob } from "@dyn/runtime/internal";
import type { Capability, MediaPart, Message } from "@dyn/runtime/llm";
import { findQuestion, logSkipped, maxKinds, toName, toRefusal, type Part, type Said } from "./parts.ts";

/** Where something is in the messages of a request that not every engine reads. */
export interface GivenMedia {
  readonly kind: MediaPart["kind"];
  /** The field that says what it is, and what that says. */
  readonly param: string;
  readonly type: string;
  /** It is part of what the user asks last, which cannot be answered without. */
  readonly isAsked: boolean;
}

/** All of them, in their order. `field` holds the messages. */
export function findMedia(messages: readonly Said[], field = "messages"): readonly GivenMedia[] {
  const begin = findQuestion(messages);
  const media: GivenMedia[] = [];
  for (const [index, { role, content }] of messages.entries()) {
    if (content == null || typeof content === "string") continue;
    const isAsked = role === "user" && index >= begin;
    for (const [at, part] of content.entries())
      if (part.media ?? part.content)
        addMedia(media, part, { param: `${field}[${index}].content[${at}].type`, isAsked });
  }
  return media;
}

function addMedia(media: GivenMedia[], part: Part, place: Pick<GivenMedia, "param" | "isAsked">): void {
  if (part.media) media.push({ kind: part.media.kind, type: part.type, ...place });
  if (typeof part.content === "string") return;
  for (const { type, media: held } of part.content ?? [])
    if (held)
      media.push({ kind: held.kind, type, param: place.param, isAsked: place.isAsked && part.role === undefined });
}

const capabilityOf: Readonly<Record<MediaPart["kind"], Capability>> = {
  image: "images",
  audio: "audio",
  file: "files",
};

/** The job as an engine with these capabilities reads it. @throws FieldError naming a part that it would have to read. */
export function fitParts(
  job: ModelJob,
  media: readonly GivenMedia[],
  capabilities: ReadonlySet<string>,
  log: Logger,
): ModelJob {
  const isRead = (kind: MediaPart["kind"]): boolean => capabilities.has(capabilityOf[kind]);
  const unread = media.filter(({ kind }) => !isRead(kind));
  if (unread.length === 0) return job;
  const asked = unread.find((each) => each.isAsked);
  if (asked) throw toRefusal(asked.param, asked.type);
  logSkipped(log, [...new Set(unread.map(({ type }) => toName(type)))].slice(0, maxKinds));
  return { ...job, messages: job.messages.map((message) => withoutMedia(message, isRead)) };
}

function withoutMedia(message: Message, isRead: (kind: MediaPart["kind"]) => boolean): Message {
  const { parts, ...rest } = message;
  const kept = parts?.filter((part) => part.kind === "text" || isRead(part.kind));
  return kept?.some(({ kind }) => kind !== "text") ? { ...rest, parts: kept } : rest;
}
