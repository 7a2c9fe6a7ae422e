/** Bytes of the plane: cut into frames, and the frames read as a worker and as a caller read them. */
import { assertDelta } from "../../packages/runtime/src/llm/deltas.ts";
import { Socket } from "node:net";
import { beginHandshake, parseTokens } from "../../packages/runtime/src/security/auth.ts";
import { compareLineage, fromPlaneHeaders, toLogFields } from "../../packages/runtime/src/trace/identity.ts";
import type { FrameWriter } from "../../packages/runtime/src/wire/frame-writer.ts";
import { FrameDecoder, frameHeaderBytes, frameTypes, type FrameType } from "../../packages/runtime/src/wire/frames.ts";
import { decodeItems, encodeDeltaItem } from "../../packages/runtime/src/wire/items.ts";
import { decodeHello, encodeHello } from "../../packages/runtime/src/wire/hello.ts";
import * as endings from "../../packages/runtime/src/wire/endings.ts";
import * as messages from "../../packages/runtime/src/wire/messages.ts";
import { decodePayload, encodePayload } from "../../packages/runtime/src/wire/payload.ts";
import { write, type Frame } from "../../tests/runtime/bytes.ts";
import { mutateBytes, randomBytes, type Corpus } from "./mutate-bytes.ts";
import { goldenFrames, plainValues } from "./plane-corpus.ts";
import { createRandom, type Random } from "./random.ts";
import { assertThat, isSame, type Target } from "./target.ts";

const maxBodyBytes = 64 * 1024;
const codes = ["protocol", "too_large"] as const;

interface Cut {
  readonly frames: readonly Frame[];
  readonly thrown: unknown;
}

// What a decoder makes of bytes that arrive in pieces; `sizes` says how large each is.
function cutFrames(bytes: Buffer, sizes: () => number): Cut {
  const decoder = new FrameDecoder(maxBodyBytes);
  const frames: Frame[] = [];
  try {
    for (let at = 0; at < bytes.length;) {
      const end = at + Math.max(1, sizes());
      decoder.push(bytes.subarray(at, end), (type, id, body) => frames.push({ type, id, body: Buffer.from(body) }));
      at = end;
    }
    return { frames, thrown: undefined };
  } catch (thrown) {
    return { frames, thrown };
  }
}

function assertSameCut(whole: Cut, pieces: Cut, how: string): void {
  const { frames, thrown } = whole;
  const isAlike =
    frames.length === pieces.frames.length &&
    frames.every(({ type, id, body }, index) => isFrame(pieces.frames[index], type, id, body));
  assertThat(isAlike && String(thrown) === String(pieces.thrown), `the frames depend on how the bytes are cut: ${how}`);
}

function isFrame(frame: Frame | undefined, type: FrameType, id: number, body: Buffer): boolean {
  return frame?.type === type && frame.id === id && frame.body.equals(body);
}

function writeFrames(frames: readonly Frame[]): Buffer {
  return write((writer) => {
    for (const { type, id, body } of frames) {
      writer.begin(type, id);
      writer.bytes(body);
      writer.end();
    }
  });
}

function feedFrames(bytes: Buffer): void {
  const whole = cutFrames(bytes, () => bytes.length);
  const again = writeFrames(whole.frames);
  assertThat(again.equals(bytes.subarray(0, again.length)), "frames are not written as they were read");
  const random = createRandom(bytes.length);
  assertSameCut(
    whole,
    cutFrames(bytes, () => random.below(20)),
    "at random",
  );
  if (bytes.length <= 512)
    assertSameCut(
      whole,
      cutFrames(bytes, () => 1),
      "byte by byte",
    );
  for (let at = 1; at < bytes.length && bytes.length <= 40; at += 1)
    assertSameCut(
      whole,
      cutFrames(bytes, () => at),
      `every ${at} bytes`,
    );
  if (whole.thrown !== undefined) throw whole.thrown;
}

/** The body of the only frame that is written. */
function bodyOf(build: (writer: FrameWriter) => void): Buffer {
  return write(build).subarray(frameHeaderBytes);
}

// A payload that was refused must leave nothing behind that changes how the next one is read.
const canary = {
  small: Array.from({ length: 128 }, (_, index) => index),
  text: "canary",
  nested: [{ text: "canary" }],
};
const canaryBytes = encodePayload(canary);

function assertUnharmed(): void {
  assertThat(isSame(decodePayload(canaryBytes, "canary"), canary), "a payload changes how the next one is read");
}

function feedPayload(bytes: Uint8Array): void {
  try {
    const value = decodePayload(bytes, "payload");
    assertThat(
      isSame(decodePayload(encodePayload(value), "payload"), value),
      "a payload is not what it was after encoding it again",
    );
  } finally {
    assertUnharmed();
  }
}

// What comes once more out of what was read must be the same again.
function assertStable<Message>(
  message: Message,
  decode: (body: Buffer) => Message,
  encode: (writer: FrameWriter, message: Message) => void,
): void {
  const again = decode(bodyOf((writer) => encode(writer, message)));
  assertThat(isSame({ ...again }, { ...message }), "a message is not what it was after encoding it again");
}

function feedHello(body: Buffer): void {
  assertStable(decodeHello(body), decodeHello, encodeHello);
}

function feedError(body: Buffer): void {
  assertStable(endings.decodeError(body), endings.decodeError, (writer, message) =>
    endings.encodeError(writer, 0, message),
  );
}

function feedRequest(body: Buffer): void {
  const request = messages.decodeRequest(body);
  assertStable(request, messages.decodeRequest, (writer, message) => messages.encodeRequest(writer, 1, message));
  assertThat(messages.requestBytes(request) <= body.length, "a request is larger than its bytes");
  toLogFields(fromPlaneHeaders(request.headers), "handle_payload");
  feedPayload(request.payload);
}

const guard = {
  role: "listener",
  tokens: parseTokens("correct-horse-battery-staple"),
  isAnnounced: () => true,
} as const;

function feedAuth(body: Buffer): void {
  const handshake = beginHandshake(guard, new Socket());
  handshake.greeted({ nonce: Buffer.alloc(32, 7), proof_version: 2, dialled: "7@tcp://127.0.0.1:7000" });
  handshake.proved(body);
}

const workerReads: Partial<Record<FrameType, (body: Buffer) => void>> = {
  [frameTypes.HELLO]: feedHello,
  [frameTypes.ERROR]: feedError,
  [frameTypes.AUTH]: feedAuth,
  [frameTypes.REQUEST]: feedRequest,
  [frameTypes.CANCEL](body) {
    const mode = messages.decodeCancel(body);
    assertThat(
      bodyOf((writer) => messages.encodeCancel(writer, 1, mode)).equals(body),
      "CANCEL has two ways to be written",
    );
  },
  [frameTypes.CREDIT](body) {
    const bytes = messages.decodeCredit(body);
    assertThat(
      bodyOf((writer) => messages.encodeCredit(writer, 1, bytes)).equals(body),
      "CREDIT has two ways to be written",
    );
  },
};

const sent = {
  requestId: "0f4ac56e-5bd1-4657-bf8b-39cdcde9036b",
  trace: { traceId: "a".repeat(32), spanId: "b".repeat(16), flags: 1 },
};

function feedItems(body: Buffer): void {
  const items: unknown[] = [];
  decodeItems(body, items);
  for (const item of items) assertDelta(item);
  const deltas = items as readonly { text: string }[];
  const again: unknown[] = [];
  const encoded = bodyOf((writer) => {
    writer.begin(frameTypes.ITEMS, 1);
    for (const delta of deltas) encodeDeltaItem(writer, delta);
    writer.end();
  });
  decodeItems(encoded, again);
  assertThat(isSame(again, items), "items are not what they were after encoding them again");
}

const callerReads: Partial<Record<FrameType, (body: Buffer) => void>> = {
  [frameTypes.HELLO]: feedHello,
  [frameTypes.ERROR]: feedError,
  [frameTypes.AUTH]: feedAuth,
  [frameTypes.ITEMS]: feedItems,
  [frameTypes.END](body) {
    const trailer = endings.decodeEnd(body);
    assertThat(compareLineage(sent, "1", 0, trailer.seen ?? {}).length <= 6, "more ids differ than there are");
    assertStable(trailer, endings.decodeEnd, (writer, message) =>
      endings.encodeEnd(writer, 1, message as endings.Trailer),
    );
  },
  [frameTypes.WITHDRAW](body) {
    assertStable(
      { path: messages.decodeWithdraw(body) },
      (bytes) => ({ path: messages.decodeWithdraw(bytes) }),
      (writer, { path }) => messages.encodeWithdraw(writer, path),
    );
  },
};

function feedMessages(bytes: Buffer, reads: typeof workerReads): void {
  try {
    new FrameDecoder(maxBodyBytes).push(bytes, (type, _streamId, body) => reads[type]?.(body));
  } finally {
    assertUnharmed();
  }
}

// Most mutations are of a body; its frame then says how long it is, or else nothing behind the header would ever be read.
function mutateFrame(random: Random, corpus: Corpus): Buffer {
  const frame = random.pick(corpus);
  if (random.oneIn(8)) return mutateBytes(random, frame, corpus);
  const body = mutateBytes(random, frame.subarray(frameHeaderBytes), corpus);
  const mutated = Buffer.concat([frame.subarray(0, frameHeaderBytes), body]);
  if (mutated.length >= frameHeaderBytes && !random.oneIn(10)) mutated.writeUInt32BE(body.length);
  return mutated;
}

function mutateStream(random: Random, corpus: Corpus): Buffer {
  if (random.oneIn(20)) return randomBytes(random);
  const parts = Array.from({ length: 1 + random.below(4) }, () =>
    random.oneIn(2) ? random.pick(corpus) : mutateFrame(random, corpus),
  );
  return Buffer.concat(parts);
}

const mutateOne = (random: Random, corpus: Corpus): Buffer =>
  random.oneIn(50) ? randomBytes(random) : mutateFrame(random, corpus);
const mutateAny = (random: Random, corpus: Corpus): Buffer =>
  random.oneIn(20) ? randomBytes(random) : mutateBytes(random, random.pick(corpus), corpus);

export const planeTargets: readonly Target[] = [
  { name: "frames", codes, corpus: goldenFrames, mutate: mutateStream, feed: feedFrames },
  {
    name: "worker",
    codes: [...codes, "unauthenticated"],
    corpus: goldenFrames.filter((frame) => workerReads[frame[4] as FrameType]),
    mutate: mutateOne,
    feed: (bytes) => feedMessages(bytes, workerReads),
  },
  {
    name: "caller",
    codes: [...codes, "unauthenticated"],
    corpus: goldenFrames.filter((frame) => callerReads[frame[4] as FrameType]),
    mutate: mutateOne,
    feed: (bytes) => feedMessages(bytes, callerReads),
  },
  { name: "payload", codes, corpus: plainValues.map(encodePayload), mutate: mutateAny, feed: feedPayload },
];
