/** Frames of the native plane `dyn/1`: u32 body length · u8 type · u32 stream id · body, big-endian. See docs/wire-format.md. */
import { RuntimeError } from "../errors.ts";
import { toRuntimeError } from "../thrown.ts";
import type { MemoryShare } from "../memory-budget.ts";

/** First bytes of a connection. Read as a Dynamo request frame they announce a path of 65535 bytes that begins with 0xFF, which no UTF-8 text does. */
export const preface: Buffer = Buffer.from([0xff, 0xff, 0xff, ...Buffer.from("dyn/1", "latin1")]);

/** u32 body length, u8 type, u32 stream id. */
export const frameHeaderBytes = 9;
/** Until HELLO has been accepted a peer may not send more than this in one frame. */
export const maxHelloBytes = 4096;
/** A connection on which it has been used takes no more requests. */
export const maxStreamId = 0xffff_ffff;

/** Types by their names; docs/wire-format.md says which end sends which. */
export const frameTypes = {
  HELLO: 1,
  REQUEST: 2,
  ITEMS: 3,
  END: 4,
  ERROR: 5,
  CANCEL: 6,
  CREDIT: 7,
  PING: 8,
  PONG: 9,
  GOAWAY: 10,
  WITHDRAW: 11,
  AUTH: 12,
} as const;
/** As documents write it. */
export type FrameTypeName = keyof typeof frameTypes;
/** As it stands in a header. */
export type FrameType = (typeof frameTypes)[FrameTypeName];

const typeNames = new Map<number, FrameTypeName>(
  Object.entries(frameTypes).map(([name, type]) => [type, name as FrameTypeName]),
);

/** For messages: also of a type that nobody knows. */
export function frameTypeName(type: number): string {
  return typeNames.get(type) ?? `0x${type.toString(16)}`;
}

const nothing = Buffer.alloc(0);
/** Room made for a frame whose size is not known yet: enough for most. */
const smallFrameBytes = 128;
/** Room made for a frame that is under way, times what has arrived of it. */
const holdFactor = 32;

/** Called for each whole frame. `body` is a view: copy what must outlive the call. */
export type OnFrame = (type: FrameType, streamId: number, body: Buffer) => void;

/** Smaller frames are kept, while they are under way, without a question. */
const freeBytes = 16 * 1024;

/** What a decoder asks before it keeps the beginning of a large frame. */
export interface FrameMemory {
  /** Frames that have not arrived whole are taken from it. */
  readonly share: MemoryShare;
  /** Called for each frame that there is no memory for, when its header has arrived. The frame is passed over. */
  readonly onRefused: (type: FrameType, streamId: number, error: RuntimeError) => void;
}

/** Cuts a byte stream into frames. A length over the limit or an unknown type is refused when its header arrives, before anything is kept. */
export class FrameDecoder {
  // A frame that has not arrived whole, copied: were its pieces kept, one of a byte would cost a buffer of its own.
  #held: Buffer = nothing;
  #heldBytes = 0;
  /** Of a frame that was refused, what is still to come. */
  #skipBytes = 0;
  #asked = 0;
  #maxBodyBytes: number;
  #room: FrameMemory | undefined;

  constructor(maxBodyBytes: number, room?: FrameMemory) {
    this.#maxBodyBytes = maxBodyBytes;
    this.#room = room;
  }

  set maxBodyBytes(limit: number) {
    this.#maxBodyBytes = limit;
  }

  /** Which frame it is that memory has been taken for and that is not whole yet, counted from 1. */
  get underWay(): number | undefined {
    return this.#room && this.#room.share.bytes > 0 ? this.#asked : undefined;
  }

  /** @throws RuntimeError `too_large` or `protocol`; the framing is then lost and the decoder must not be used again. */
  push(chunk: Buffer, onFrame: OnFrame): void {
    let at = Math.min(this.#skipBytes, chunk.length);
    this.#skipBytes -= at;
    if (this.#heldBytes > 0) at = this.#complete(chunk, onFrame);
    while (chunk.length - at >= frameHeaderBytes) {
      const end = at + this.#frameBytes(chunk, at);
      if (end > chunk.length) {
        if (this.#mayHold(chunk, at, end - at)) this.#hold(chunk, at, chunk.length, end - at);
        else this.#skipBytes = end - chunk.length;
        return;
      }
      const type = chunk[at + 4] as FrameType; // #frameBytes has checked it
      onFrame(type, chunk.readUInt32BE(at + 5), chunk.subarray(at + frameHeaderBytes, end));
      at = end;
    }
    if (at < chunk.length) this.#hold(chunk, at, chunk.length, smallFrameBytes);
  }

  // Hands over the held frame if `chunk` has the rest of it. @returns where the next frame begins.
  #complete(chunk: Buffer, onFrame: OnFrame): number {
    let at = 0;
    if (this.#heldBytes < frameHeaderBytes) {
      at = Math.min(chunk.length, frameHeaderBytes - this.#heldBytes);
      this.#hold(chunk, 0, at, smallFrameBytes);
      if (this.#heldBytes < frameHeaderBytes) return at;
      if (!this.#mayHold(this.#held, 0, this.#frameBytes(this.#held, 0))) return this.#passOver(chunk, at);
    }
    const size = this.#frameBytes(this.#held, 0);
    const end = Math.min(chunk.length, at + size - this.#heldBytes);
    this.#hold(chunk, at, end, size);
    if (this.#heldBytes < size) return end;
    const frame = this.#held;
    this.#held = nothing; // the body may live on: the next frame gets memory of its own
    this.#heldBytes = 0;
    this.#room?.share.release(size);
    onFrame(frame[4] as FrameType, frame.readUInt32BE(5), frame.subarray(frameHeaderBytes, size)); // #frameBytes has checked the type
    return end;
  }

  // Asked once for each frame that is not there whole.
  #mayHold(bytes: Buffer, at: number, size: number): boolean {
    if (size <= freeBytes || !this.#room) return true;
    this.#asked += 1;
    try {
      this.#room.share.take(size);
      return true;
    } catch (error) {
      this.#room.onRefused(bytes[at + 4] as FrameType, bytes.readUInt32BE(at + 5), toRuntimeError(error)); // #frameBytes has checked the type
      return false;
    }
  }

  // @returns where the next frame begins, or the end of the chunk.
  #passOver(chunk: Buffer, at: number): number {
    const left = this.#frameBytes(this.#held, 0) - frameHeaderBytes;
    const here = Math.min(left, chunk.length - at);
    this.#skipBytes = left - here;
    this.#held = nothing;
    this.#heldBytes = 0;
    return at + here;
  }

  // Memory follows what has arrived, up to `size`: a header alone claims little, and a large frame is moved once or twice.
  #hold(chunk: Buffer, from: number, to: number, size: number): void {
    const bytes = this.#heldBytes + to - from;
    if (bytes > this.#held.length) {
      const grown = Buffer.allocUnsafe(Math.min(size, holdFactor * bytes));
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    chunk.copy(this.#held, this.#heldBytes, from, to);
    this.#heldBytes = bytes;
  }

  #frameBytes(bytes: Buffer, at: number): number {
    const bodyBytes = bytes.readUInt32BE(at);
    const type = bytes[at + 4] ?? 0;
    if (!typeNames.has(type)) throw new RuntimeError("protocol", `unknown frame type ${frameTypeName(type)}`);
    if (bodyBytes > this.#maxBodyBytes) {
      throw new RuntimeError(
        "too_large",
        `${frameTypeName(type)} frame of ${bodyBytes} bytes, limit ${this.#maxBodyBytes}`,
      );
    }
    return frameHeaderBytes + bodyBytes;
  }
}
