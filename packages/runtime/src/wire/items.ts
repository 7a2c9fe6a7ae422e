/** Items inside an ITEMS frame: a compact form for token deltas, msgpack for everything else. */
import { isUtf8 } from "node:buffer";
import { RuntimeError } from "../errors.ts";
import type { ResponseHeaders } from "../trace/response-headers.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { decodePayload, encodePayload } from "./payload.ts";

const valueForm = 0;
const deltaForm = 1;
const maxTextChars = 0xffff / 3;
const maxTokenIds = 0xff;

/** The part of a language model's delta that the compact form can say. */
export interface CompactDelta {
  readonly text: string;
  readonly tokenIds?: readonly number[];
  /** Index of the choice when a request asked for several; absent means 0. */
  readonly choice?: number;
}

/** Appends one item to the open ITEMS frame. `headers` come with the first item of an answer that has any, for those who know a place for them: they also stand at its end. */
export type EncodeItem<Item> = (writer: FrameWriter, item: Item, headers?: ResponseHeaders) => void;

/** Layout: u8 0 · u32 length · msgpack. */
export function encodeValueItem(writer: FrameWriter, item: unknown): void {
  const bytes = encodePayload(item);
  writer.reserve(5 + bytes.length);
  writer.u8(valueForm);
  writer.u32(bytes.length);
  writer.bytes(bytes);
}

function isCompact(delta: CompactDelta): boolean {
  for (const key in delta) {
    if (key === "text" || key === "tokenIds" || key === "choice") continue;
    if ((delta as unknown as Record<string, unknown>)[key] !== undefined) return false; // any object may be read by key
  }
  return (
    delta.text.length <= maxTextChars && (delta.tokenIds?.length ?? 0) <= maxTokenIds && (delta.choice ?? 0) <= 0xff
  );
}

/** Layout: u8 1 · u8 choice · u8 token count · u32 per token id · u16 length · UTF-8 text. Anything else in the delta makes it a value item. */
export function encodeDeltaItem(writer: FrameWriter, delta: CompactDelta, headers?: ResponseHeaders): void {
  if (headers) return encodeValueItem(writer, { ...delta, headers });
  if (!isCompact(delta)) return encodeValueItem(writer, delta);
  const ids = delta.tokenIds;
  const count = ids?.length ?? 0;
  writer.reserve(3 + 4 * count);
  writer.u8(deltaForm);
  writer.u8(delta.choice ?? 0);
  writer.u8(count);
  for (let index = 0; index < count; index += 1) writer.u32(ids?.[index] ?? 0);
  writer.text16(delta.text);
}

function truncated(): RuntimeError {
  return new RuntimeError("protocol", "an item ends after its ITEMS frame");
}

/** Decode items of a frame's body, appending at most `most` to `items`. @returns where the next one begins. @throws RuntimeError `protocol` on an unknown form, a cut item or bad UTF-8. */
export function decodeItems(body: Buffer, items: unknown[], most: number = Number.POSITIVE_INFINITY): number {
  const end = items.length + most;
  let at = 0;
  while (at < body.length && items.length < end) {
    const form = body[at];
    if (form === deltaForm) at = decodeDelta(body, at + 1, items);
    else if (form === valueForm) at = decodeValue(body, at + 1, items);
    else throw new RuntimeError("protocol", `unknown item form ${String(form)}`);
  }
  return at;
}

function decodeValue(body: Buffer, at: number, items: unknown[]): number {
  if (at + 4 > body.length) throw truncated();
  const end = at + 4 + body.readUInt32BE(at);
  if (end > body.length) throw truncated();
  items.push(decodePayload(body.subarray(at + 4, end), "item"));
  return end;
}

function decodeDelta(body: Buffer, at: number, items: unknown[]): number {
  if (at + 2 > body.length) throw truncated();
  const choice = body[at] ?? 0;
  const count = body[at + 1] ?? 0;
  let cursor = at + 2;
  if (cursor + 4 * count + 2 > body.length) throw truncated();
  const tokenIds = count > 0 ? readIds(body, cursor, count) : undefined;
  cursor += 4 * count;
  const start = cursor + 2;
  const end = start + body.readUInt16BE(cursor);
  if (end > body.length) throw truncated();
  const text = readUtf8(body, start, end);
  if (tokenIds === undefined && choice === 0) items.push({ text });
  else items.push({ text, ...(tokenIds && { tokenIds }), ...(choice > 0 && { choice }) });
  return end;
}

function readIds(body: Buffer, at: number, count: number): number[] {
  const ids: number[] = [];
  for (let index = 0; index < count; index += 1) ids.push(body.readUInt32BE(at + 4 * index));
  return ids;
}

/** Bytes of text that are read here, if they are ASCII as most tokens are, because the call into native code costs four times as much. */
const shortText = 16;

/** UTF-8 from `start` to `end`. @throws RuntimeError `protocol` if it is not valid. */
export function readUtf8(body: Buffer, start: number, end: number): string {
  if (end - start <= shortText) {
    const ascii = readAscii(body, start, end);
    if (ascii !== undefined) return ascii;
  }
  const text = body.toString("utf8", start, end);
  // Bad bytes decode to U+FFFD; only a text that holds one needs the exact check.
  if (text.includes("\ufffd") && !isUtf8(body.subarray(start, end)))
    throw new RuntimeError("protocol", "text is not valid UTF-8");
  return text;
}

// Four characters at a time: each text that is made on the way costs an allocation.
function readAscii(body: Buffer, start: number, end: number): string | undefined {
  let text = "";
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const [first = 0, second = 0, third = 0, fourth = 0] = [body[at], body[at + 1], body[at + 2], body[at + 3]];
    if ((first | second | third | fourth) > 0x7f) return undefined;
    text += String.fromCharCode(first, second, third, fourth);
  }
  for (; at < end; at += 1) {
    const code = body[at] ?? 0;
    if (code > 0x7f) return undefined;
    text += String.fromCharCode(code);
  }
  return text;
}
