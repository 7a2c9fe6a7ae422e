/** Frames of the native plane `dyn/1`: u32 body length · u8 type · u32 stream id · body, big-endian. See docs/wire-format.md. */
import { RuntimeError } from "../errors.ts";

/** First bytes of a connection. Read as a Dynamo request frame they announce a path of 65535 bytes that begins with 0xFF, which no UTF-8 text does. */
export const preface: Buffer = Buffer.from([0xff, 0xff, 0xff, ...Buffer.from("dyn/1", "latin1")]);

export const frameHeaderBytes = 9;
/** Until HELLO has been accepted a peer may not send more than this in one frame. */
export const maxHelloBytes = 4096;
export const maxStreamId = 0xffff_ffff;

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
} as const;
export type FrameTypeName = keyof typeof frameTypes;
export type FrameType = (typeof frameTypes)[FrameTypeName];

const typeNames = new Map<number, FrameTypeName>(Object.entries(frameTypes).map(([name, type]) => [type, name as FrameTypeName]));

export function frameTypeName(type: number): string {
  return typeNames.get(type) ?? `0x${type.toString(16)}`;
}

/** Called for each whole frame. `body` is a view: copy what must outlive the call. */
export type OnFrame = (type: FrameType, streamId: number, body: Buffer) => void;

/** Cuts a byte stream into frames. A length over the limit or an unknown type is refused when its header arrives, before anything is kept. */
export class FrameDecoder {
  #held: Buffer[] = [];
  #heldBytes = 0;
  #maxBodyBytes: number;

  constructor(maxBodyBytes: number) {
    this.#maxBodyBytes = maxBodyBytes;
  }

  set maxBodyBytes(limit: number) {
    this.#maxBodyBytes = limit;
  }

  /** @throws RuntimeError `too_large` or `protocol`; the framing is then lost and the decoder must not be used again. */
  push(chunk: Buffer, onFrame: OnFrame): void {
    let bytes = chunk;
    if (this.#heldBytes > 0) {
      this.#held.push(chunk);
      this.#heldBytes += chunk.length;
      if (this.#heldBytes < this.#wanted()) return;
      bytes = Buffer.concat(this.#held, this.#heldBytes);
      this.#held = [];
      this.#heldBytes = 0;
    }
    let at = 0;
    while (bytes.length - at >= frameHeaderBytes) {
      const end = at + this.#frameBytes(bytes, at);
      if (end > bytes.length) break;
      const type = bytes[at + 4] as FrameType; // #frameBytes has checked it
      onFrame(type, bytes.readUInt32BE(at + 5), bytes.subarray(at + frameHeaderBytes, end));
      at = end;
    }
    if (at < bytes.length) this.#hold(bytes.subarray(at));
  }

  #hold(rest: Buffer): void {
    this.#held = [rest];
    this.#heldBytes = rest.length;
  }

  // How many bytes must be there before another look is worth it: a large frame is joined once, not at every chunk.
  #wanted(): number {
    if (this.#heldBytes < frameHeaderBytes) return frameHeaderBytes;
    const [first = Buffer.alloc(0)] = this.#held;
    if (first.length < frameHeaderBytes) this.#hold(Buffer.concat(this.#held, this.#heldBytes));
    const [head = first] = this.#held;
    return this.#frameBytes(head, 0);
  }

  #frameBytes(bytes: Buffer, at: number): number {
    const bodyBytes = bytes.readUInt32BE(at);
    const type = bytes[at + 4] ?? 0;
    if (!typeNames.has(type)) throw new RuntimeError("protocol", `unknown frame type ${frameTypeName(type)}`);
    if (bodyBytes > this.#maxBodyBytes) {
      throw new RuntimeError("too_large", `${frameTypeName(type)} frame of ${bodyBytes} bytes, limit ${this.#maxBodyBytes}`);
    }
    return frameHeaderBytes + bodyBytes;
  }
}
