/** Frames to bytes and back, for tests. */
import { FrameWriter } from "../../packages/runtime/src/wire/frame-writer.ts";
import { FrameDecoder, frameHeaderBytes, frameTypes, type FrameType } from "../../packages/runtime/src/wire/frames.ts";

export interface Frame {
  readonly type: FrameType;
  readonly id: number;
  readonly body: Buffer;
}

export function decodeAll(bytes: Buffer, cuts: readonly number[] = [], maxBodyBytes = 1 << 20): Frame[] {
  const frames: Frame[] = [];
  const decoder = new FrameDecoder(maxBodyBytes);
  const edges = [0, ...cuts.filter((cut) => cut <= bytes.length).toSorted((left, right) => left - right), bytes.length];
  for (let index = 1; index < edges.length; index += 1) {
    decoder.push(bytes.subarray(edges[index - 1], edges[index]), (type, id, body) =>
      frames.push({ type, id, body: Buffer.from(body) }),
    );
  }
  return frames;
}

/** The header of a REQUEST. */
export function requestHeader(streamId: number, bodyBytes: number): Buffer {
  const header = Buffer.alloc(frameHeaderBytes);
  header.writeUInt32BE(bodyBytes);
  header[4] = frameTypes.REQUEST;
  header.writeUInt32BE(streamId, 5);
  return header;
}

export function write(build: (writer: FrameWriter) => void): Buffer {
  const writer = new FrameWriter();
  build(writer);
  return Buffer.concat(writer.take());
}
