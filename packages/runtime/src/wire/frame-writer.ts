/** Collects the frames of one tick in one buffer, so that they leave in one write. */
import { RuntimeError } from "../errors.ts";
import { frameHeaderBytes, frameTypes, type FrameType } from "./frames.ts";

const arenaBytes = 64 * 1024;
const maxMergedBytes = 16 * 1024;
const shortText = 32;
const noFrame = -1;

/** A growing buffer with one open frame at its end. Written bytes are never written again, so a socket may keep them. */
export class FrameWriter {
  /** Largest body the reader takes; ITEMS frames keep to it by themselves. Until the reader has said it there are none. */
  maxBodyBytes: number = 2 ** 31 - 1;
  #arena: Buffer = Buffer.allocUnsafeSlow(arenaBytes);
  #from = 0;
  #at = 0;
  #frameAt = noFrame;
  #full: Buffer[] = [];
  #fullBytes = 0;
  // Items of the same stream that follow each other within a tick share one ITEMS frame.
  #lastItemsAt = noFrame;
  #lastItemsStream = 0;

  /** Bytes that wait to be taken. */
  get queuedBytes(): number {
    return this.#fullBytes + this.#at - this.#from;
  }

  begin(type: FrameType, streamId: number): void {
    this.#lastItemsAt = noFrame;
    this.reserve(frameHeaderBytes);
    this.#frameAt = this.#at;
    this.#arena[this.#at + 4] = type;
    this.#arena.writeUInt32BE(streamId, this.#at + 5);
    this.#at += frameHeaderBytes;
  }

  /** Begin an ITEMS frame, or reopen the one just written for the same stream. @returns the offset from which `itemBytes` counts. */
  beginItems(streamId: number): number {
    if (
      this.#lastItemsAt !== noFrame &&
      this.#lastItemsStream === streamId &&
      this.#at - this.#lastItemsAt < maxMergedBytes
    ) {
      this.#frameAt = this.#lastItemsAt;
    } else {
      this.begin(frameTypes.ITEMS, streamId);
    }
    return this.#at - this.#frameAt;
  }

  /** Close the open frame. */
  end(): void {
    this.#arena.writeUInt32BE(this.#at - this.#frameAt - frameHeaderBytes, this.#frameAt);
    this.#frameAt = noFrame;
  }

  /** Close an ITEMS frame. @returns how many body bytes were added since `mark`. @throws RuntimeError `too_large` over `maxBodyBytes`; what was added is dropped. */
  endItems(streamId: number, mark: number): number {
    const size = this.#at - this.#frameAt;
    if (size - frameHeaderBytes > this.maxBodyBytes) this.#split(streamId, mark, size - mark);
    this.#lastItemsAt = this.#frameAt;
    this.#lastItemsStream = streamId;
    this.end();
    return size - mark;
  }

  // What was added since `mark` does not fit into the frame: it gets one of its own.
  #split(streamId: number, mark: number, added: number): void {
    if (added > this.maxBodyBytes) {
      this.abandon(mark);
      throw new RuntimeError(
        "too_large",
        `an item is ${added} bytes on the plane, its reader's limit is ${this.maxBodyBytes}, set by DYN_TCP_MAX_MESSAGE_SIZE there: give it in pieces`,
      );
    }
    this.reserve(frameHeaderBytes);
    const itemAt = this.#frameAt + mark;
    this.#arena.copyWithin(itemAt + frameHeaderBytes, itemAt, this.#at);
    this.#at = itemAt;
    this.end();
    this.begin(frameTypes.ITEMS, streamId);
    this.#at += added;
  }

  /** Drop the open frame, or what was added to a reopened one since `mark`. */
  abandon(mark = 0): void {
    this.#at = this.#frameAt + mark;
    if (mark > frameHeaderBytes) this.end();
    else this.#at = this.#frameAt;
    this.#frameAt = noFrame;
    this.#lastItemsAt = noFrame;
  }

  u8(value: number): void {
    this.reserve(1);
    this.#arena[this.#at++] = value;
  }

  u16(value: number): void {
    this.reserve(2);
    this.#at = this.#arena.writeUInt16BE(value, this.#at);
  }

  u32(value: number): void {
    this.reserve(4);
    this.#at = this.#arena.writeUInt32BE(value, this.#at);
  }

  bytes(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.#arena.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** Text with its length in a u16 before it. The caller has checked that its UTF-8 has at most 65535 bytes. */
  text16(text: string): void {
    this.reserve(2 + 3 * text.length);
    const start = this.#at + 2;
    const end = start + this.#putText(text, start);
    this.#arena.writeUInt16BE(end - start, this.#at);
    this.#at = end;
  }

  // Short ASCII, as tokens are, is faster in a loop than across the native boundary.
  #putText(text: string, at: number): number {
    if (text.length > shortText) return this.#arena.write(text, at, "utf8");
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) return this.#arena.write(text, at, "utf8");
      this.#arena[at + index] = code;
    }
    return text.length;
  }

  /** Make room for `size` more bytes; an open frame moves along into the new arena. */
  reserve(size: number): void {
    if (this.#arena.length - this.#at >= size) return;
    const keepFrom = this.#frameAt === noFrame ? this.#at : this.#frameAt;
    const open = this.#at - keepFrom;
    if (keepFrom > this.#from) {
      this.#full.push(this.#arena.subarray(this.#from, keepFrom));
      this.#fullBytes += keepFrom - this.#from;
    }
    const next = Buffer.allocUnsafeSlow(Math.max(arenaBytes, 2 * (open + size)));
    this.#arena.copy(next, 0, keepFrom, this.#at);
    this.#arena = next;
    this.#from = 0;
    this.#at = open;
    this.#lastItemsAt = noFrame;
    if (this.#frameAt !== noFrame) this.#frameAt = 0;
  }

  /** All closed frames, in order; they belong to the caller now. */
  take(): Buffer[] {
    const taken = this.#full;
    if (this.#at > this.#from) taken.push(this.#arena.subarray(this.#from, this.#at));
    this.#full = [];
    this.#fullBytes = 0;
    this.#from = this.#at;
    this.#lastItemsAt = noFrame;
    return taken;
  }
}
