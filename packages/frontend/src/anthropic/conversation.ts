/** The conversation of a messages request: which roles and blocks there are, and the messages that engines see of them. */
import type { MediaPart, Message, ToolCall } from "@dyn/runtime/llm";
import * as z from "zod";
import { readThinking } from "./signature.ts";
import { kindOf } from "../inference/field-kinds.ts";
import { described, ruleOf, shaped } from "../inference/described.ts";
import {
  contentOf,
  skippedOf,
  textPart,
  toParts,
  toPlace,
  toText,
  type Content,
  type Part,
  type Said,
} from "../inference/parts.ts";

/** A message as the client sent it, its blocks read. */
export interface Turn extends Said {
  readonly role: "user" | "assistant" | "system";
  /** `next_user_message` on a system message: it is over once the user has said something else. */
  readonly clear_at?: unknown;
}

const words = "must be a string or a list of content blocks";
const plain = contentOf({ text: textPart }, words);

const searchResult = z.object({ content: plain }).transform((given) => toQuote("search_result", given.content));

type Place = Partial<MediaPart>;

// Where the bytes of an image or a document are.
const places = {
  base64: z
    .object({ media_type: z.string(), data: z.string() })
    .transform(({ media_type: mediaType, data }): Place => ({ data, mediaType })),
  url: z.object({ url: z.string() }).transform(({ url }): Place => toPlace(url)),
  file: z.object({ file_id: z.string() }).transform(({ file_id: fileId }): Place => ({ fileId })),
};
const image = z.object({ source: kindOf<Place | undefined>(places, () => undefined) }).transform(({ source }): Part => {
  return { type: "image", ...(source && { media: { kind: "image", ...source } }) };
});

// A text, a list of blocks, or bytes.
interface DocumentSource {
  readonly quoted?: Content;
  readonly place?: Place;
}
const toDocument = (place: z.ZodType<Place>): z.ZodType<DocumentSource> =>
  shaped(
    place.transform((given): DocumentSource => ({ place: given })),
    (toJsonSchema) => toJsonSchema(place),
  );
const documentSource = kindOf<DocumentSource>(
  {
    text: z.object({ data: z.string() }).transform(({ data: quoted }): DocumentSource => ({ quoted })),
    content: z.object({ content: plain }).transform(({ content: quoted }): DocumentSource => ({ quoted })),
    base64: toDocument(places.base64),
    url: toDocument(places.url),
    file: toDocument(places.file),
  },
  () => ({}),
);
const document = z
  .object({ source: documentSource, title: z.string().nullish() })
  .transform(({ source, title }): Part => {
    const { quoted, place } = source;
    if (!place) return toQuote("document", quoted);
    return { type: "document", media: { kind: "file", ...place, ...(title != null && { name: title }) } };
  });

// An empty line keeps it apart from what is said about it.
function toQuote(type: string, quoted: Content | undefined): Part {
  return { type, text: quoted === undefined ? undefined : `${toText(quoted)}\n\n`, skipped: skippedOf(quoted) };
}

const result = contentOf({ text: textPart, search_result: searchResult, document, image }, words);
const toolResult = z
  .object({ content: result.nullish(), tool_use_id: z.string().optional() })
  .transform((given): Part => ({
    type: "tool_result",
    role: "tool",
    text: toText(given.content),
    content: given.content,
    skipped: skippedOf(given.content),
    toolCallId: given.tool_use_id,
  }));

const toolUse = z
  .object({ id: z.string().min(1), name: z.string().min(1), input: z.unknown().optional() })
  .transform(({ id, name, input }): Part => {
    const toolCall = { id, name, kind: "function", arguments: JSON.stringify(input ?? {}) } as const;
    return { type: "tool_use", text: "", toolCall };
  });

const thinking = z
  .object({ thinking: z.string().nullish(), signature: z.unknown().optional() })
  .transform(({ thinking: thought, signature }): Part => {
    return {
      type: "thinking",
      text: "",
      reasoning: thought == null || thought === "" ? readThinking(signature) : thought,
    };
  });

// What a client has left out of a long conversation, in few words.
const compaction = z
  .object({ content: z.string().nullish() })
  .transform((given): Part => ({ type: "compaction", text: given.content ?? undefined }));

// Of all other blocks (@anthropic-ai/sdk, ContentBlockParam and BetaContentBlockParam) engines see nothing.
const content = contentOf(
  {
    text: textPart,
    search_result: searchResult,
    document,
    image,
    tool_use: toolUse,
    tool_result: toolResult,
    mcp_tool_result: toolResult,
    thinking,
    compaction,
  },
  words,
);

/** The roles of @anthropic-ai/sdk's MessageParam. A system message may lack content: it may do nothing but set options (BetaSystemMessageParam). */
export const turnField: z.ZodType<Turn> = shaped(
  z
    .object({
      role: described("A system message counts from where it stands.", z.enum(["user", "assistant", "system"])),
      content: described(
        "A text, or a list of blocks. Blocks that the model does not read are skipped in earlier turns; in what the user asks last they are a 400. May be missing from a system message.",
        content.nullish(),
      ),
      clear_at: described(
        "`next_user_message` on a system message: it counts only until the user's next message.",
        z.unknown().optional(),
      ),
    })
    .refine((given) => given.role === "system" || given.content != null, { path: ["content"], error: words }),
  () =>
    ruleOf(
      { properties: { role: { not: { const: "system" } } }, required: ["role"] },
      { properties: { content: { type: ["string", "array"] } }, required: ["content"] },
    ),
);

/** What engines see: system messages where they stand, and what a tool has answered as a message of the tool. */
export function toMessages(turns: readonly Turn[]): Message[] {
  const last = turns.findLastIndex(({ role }) => role === "user");
  return turns.flatMap((turn, index) => (turn.clear_at === "next_user_message" && index < last ? [] : splitTurn(turn)));
}

function toResult(role: "tool", { text = "", content: given, toolCallId }: Part): Message {
  const parts = toParts(given);
  return { role, text, ...(parts && { parts }), ...(toolCallId !== undefined && { toolCallId }) };
}

// In the order of the blocks: what is said between two results stands between them.
function splitTurn({ role, content: given }: Turn): Message[] {
  if (typeof given === "string") return [{ role, text: given }];
  const messages: Message[] = [];
  let [said, reasoning] = ["", ""];
  let toolCalls: ToolCall[] = [];
  let blocks: Part[] = [];
  const say = (): void => {
    const parts = toParts(blocks);
    if (said !== "" || reasoning !== "" || toolCalls.length > 0 || parts)
      messages.push({
        role,
        text: said,
        ...(parts && { parts }),
        ...(toolCalls.length > 0 && { toolCalls }),
        ...(reasoning !== "" && { reasoning }),
      });
    [said, reasoning] = ["", ""];
    toolCalls = [];
    blocks = [];
  };
  for (const block of given ?? []) {
    const { role: teller, text = "", toolCall } = block;
    if (toolCall) toolCalls.push(toolCall);
    reasoning += block.reasoning ?? "";
    if (teller === undefined) {
      said += text;
      blocks.push(block);
    } else {
      say();
      messages.push(toResult(teller, block));
    }
  }
  say();
  return messages.length > 0 || role === "system" ? messages : [{ role, text: "" }];
}
