/** Bytes for a running frontend and a running worker: whole conversations, from the first byte to the last. */
import { preface } from "../../packages/runtime/src/wire/frames.ts";
import { encodeHello } from "../../packages/runtime/src/wire/hello.ts";
import { encodeValueItem } from "../../packages/runtime/src/wire/items.ts";
import * as messages from "../../packages/runtime/src/wire/messages.ts";
import { encodePayload } from "../../packages/runtime/src/wire/payload.ts";
import { write } from "../../tests/runtime/bytes.ts";
import { makeCase } from "./campaign.ts";
import { mutateJson } from "./mutate-json.ts";
import { mutateBytes, randomBytes, type Corpus } from "./mutate-bytes.ts";
import { createRandom, mixSeed, type Random } from "./random.ts";
import { corpusOf, readSeeds } from "./seeds.ts";
import type { Target } from "./target.ts";
import { targets } from "./targets.ts";

export type Door = "plane" | "http";

export interface LiveCase {
  readonly door: Door;
  readonly bytes: Buffer;
  /** True if the bytes are a whole request of HTTP, whose answer must be one. */
  readonly isRequest: boolean;
}

/** Makes the case with that index. */
export type MakeLiveCase = (index: number) => LiveCase;

interface Source {
  readonly target: Target;
  readonly corpus: Corpus;
}

function sourceOf(name: string): Source {
  const target = targets.find((each) => each.name === name);
  if (!target) throw new Error(`no target ${name}`);
  return { target, corpus: corpusOf(target) };
}

const paths: Readonly<Record<string, string>> = {
  chat: "/v1/chat/completions",
  completions: "/v1/completions",
  messages: "/v1/messages",
  "count-tokens": "/v1/messages/count_tokens",
};

const greeting = write((writer) => {
  writer.bytes(preface);
  encodeHello(writer, { version: 1, agent: "fuzz", capabilities: [], max_frame_bytes: 1 << 20, max_streams: 16 });
});

/** Where conversations are kept that have once broken something. */
export const keptAs: Readonly<Record<Door, string>> = { plane: "live-plane", http: "live-http" };

/** The kept ones, and then others: the same seed makes the same cases. */
export function createLiveCases(seed: number): MakeLiveCase {
  const worker = sourceOf("worker");
  const frames = sourceOf("frames");
  const kept = (["plane", "http"] as const).flatMap((door) =>
    readSeeds(keptAs[door]).map(({ bytes }): LiveCase => ({ door, bytes, isRequest: false })),
  );
  const jobs = corpusOf({ name: "jobs", corpus: [] });
  const bodies = Object.entries(paths).map(([name, path]) => ({ path, ...sourceOf(name) }));
  const [firstBody, ...otherBodies] = bodies;
  if (!firstBody) throw new Error("no bodies");

  // What a frontend would not send: the worker's handler is told more than bytes that cannot be read.
  const makeJob = (random: Random, streamId: number): Buffer => {
    const text = mutateJson(random, jobs).toString();
    const headers = { "request-id": "0f4ac56e-5bd1-4657-bf8b-39cdcde9036b" };
    const payload = toPayload(text);
    const request = {
      path: "dynamo/backend/generate",
      headers,
      attempt: 0,
      deadlineMs: 10_000,
      credit: 262_144,
      payload,
    };
    return write((writer) => messages.encodeRequest(writer, streamId, request));
  };

  // A request in pieces, whose frames are not all what they should be.
  const makeUpload = (random: Random, streamId: number): Buffer => {
    const request = {
      path: "dynamo/backend/generate",
      headers: {},
      attempt: 0,
      deadlineMs: 10_000,
      credit: 262_144,
      payload: messages.streamPayload,
    };
    const begin = write((writer) => messages.encodeRequest(writer, streamId, request));
    const rest = write((writer) => {
      const mark = writer.beginItems(streamId);
      encodeValueItem(writer, Buffer.alloc(random.below(4_096)));
      writer.endItems(streamId, mark);
      if (random.oneIn(2)) messages.encodeRequestEnd(writer, streamId);
    });
    return Buffer.concat([begin, random.oneIn(2) ? mutateBytes(random, rest, worker.corpus) : rest]);
  };

  const makeConversation = (random: Random, index: number): Buffer => {
    const stream = makeCase(frames.target, frames.corpus, seed, index);
    if (random.oneIn(10)) return random.oneIn(2) ? randomBytes(random) : stream;
    if (random.oneIn(10)) return Buffer.concat([preface, stream]);
    const said = Array.from({ length: 1 + random.below(4) }, (_, part) => {
      if (random.oneIn(3)) return makeJob(random, part + 1);
      if (random.oneIn(8)) return makeUpload(random, part + 1);
      return withStream(makeCase(worker.target, worker.corpus, seed, 8 * index + part), part);
    });
    const whole = Buffer.concat([greeting, ...said]);
    return random.oneIn(10) ? mutateBytes(random, whole, worker.corpus) : whole;
  };

  const makeRequest = (random: Random, index: number): LiveCase => {
    const { path, target, corpus } = random.pick([firstBody, ...otherBodies]);
    const body = makeCase(target, corpus, seed, index);
    const head = [
      `POST ${path} HTTP/1.1`,
      "host: localhost",
      "connection: close",
      "content-type: application/json",
      `content-length: ${body.length}`,
    ];
    const bytes = Buffer.concat([Buffer.from([...head, "", ""].join("\r\n")), body]);
    if (!random.oneIn(5)) return { door: "http", bytes, isRequest: true };
    return { door: "http", bytes: mutateBytes(random, bytes, corpus), isRequest: false };
  };

  return (index) => {
    const again = kept[index];
    if (again) return again;
    const random = createRandom(mixSeed(seed, "live", index));
    return random.oneIn(2)
      ? { door: "plane", bytes: makeConversation(random, index), isRequest: false }
      : makeRequest(random, index);
  };
}

function toPayload(text: string): Buffer {
  try {
    return encodePayload(JSON.parse(text));
  } catch {
    return Buffer.from(text); // neither JSON nor, most likely, msgpack
  }
}

// REQUEST frames of one conversation need ids that grow, or the second would be the last.
function withStream(frame: Buffer, part: number): Buffer {
  if (frame.length < 9 || frame[4] === 1 || frame.readUInt32BE(5) === 0) return frame;
  const moved = Buffer.from(frame);
  moved.writeUInt32BE(part + 1, 5);
  return moved;
}
