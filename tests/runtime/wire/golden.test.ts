// The bytes of the native plane as they are written down.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseTokens, proveToken } from "../../../packages/runtime/src/security/auth.ts";
import type { FrameWriter } from "../../../packages/runtime/src/wire/frame-writer.ts";
import { frameHeaderBytes, frameTypes, preface } from "../../../packages/runtime/src/wire/frames.ts";
import { decodeItems, encodeDeltaItem, encodeValueItem } from "../../../packages/runtime/src/wire/items.ts";
import { decodeHello, encodeAuth, encodeHello } from "../../../packages/runtime/src/wire/hello.ts";
import * as endings from "../../../packages/runtime/src/wire/endings.ts";
import * as messages from "../../../packages/runtime/src/wire/messages.ts";
import { encodePayload } from "../../../packages/runtime/src/wire/payload.ts";
import { root } from "../../support/cluster.ts";
import { decodeAll, write } from "../bytes.ts";

// Each file: the bytes of one frame, header included, in hex; what they mean stands here.
const seen = {
  request_id: "0f4ac56e-5bd1-4657-bf8b-39cdcde9036b",
  trace_id: "0af7651916cd43dd8448eb211c80319c",
  parent_id: "b7ad6b7169203331",
  span_id: "00f067aa0ba902b7",
  instance_id: "8798227148140889201",
  attempt: 0,
};
const trailer = { seen, items: 3, elapsed_ms: 12.5, ttft_ms: 1.25 };
const hello = {
  version: 1,
  instance_id: "8798227148140889201",
  agent: "dyn/0.1.0",
  capabilities: [],
  max_frame_bytes: 33_554_432,
  max_streams: 16_384,
} as const;
const [token] = parseTokens("correct-horse-battery-staple");
const dialled = "8798227148140889201@tcp://10.0.0.7:7000";
const [diallerNonce, listenerNonce] = [Buffer.alloc(32, 0xd1), Buffer.alloc(32, 0x15)];
const proofOf = (role: "dialler" | "listener", more = {}): string =>
  proveToken(token.proofKey, {
    role,
    dialled,
    diallerNonce,
    listenerNonce,
    channel: Buffer.alloc(0),
    ...more,
  }).toString("hex");
// As the first, but in TLS whose exporter gives 32 bytes c5.
const inTls = { dialled: "8798227148140889201@tls://10.0.0.7:7000", channel: Buffer.alloc(32, 0xc5) };
const { instance_id: _, ...diallerHello } = hello;
const helloOfDialler = { ...diallerHello, nonce: diallerNonce, proof_version: 2, dialled };
const auth = (proof: string): Golden => ({
  build: (writer) => encodeAuth(writer, Buffer.from(proof, "hex")),
  decode: (body) => body.toString("hex"),
  means: proof,
});
const headers = {
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  "request-id": seen.request_id,
};
const request = {
  path: "dynamo/backend/generate",
  headers,
  attempt: 1,
  deadlineMs: 5_000,
  credit: 262_144,
  payload: encodePayload({ name: "ada" }),
};
const failure = { code: "overloaded", message: "full", retryable: true, produced: false } as const;

interface Golden {
  readonly build: (writer: FrameWriter) => void;
  readonly decode: (body: Buffer) => unknown;
  readonly means: unknown;
}

function decodeItemsOf(body: Buffer): unknown[] {
  const items: unknown[] = [];
  decodeItems(body, items);
  return items;
}

const golden: Readonly<Record<string, Golden>> = {
  hello: { build: (writer) => encodeHello(writer, hello), decode: decodeHello, means: hello },
  "hello-dialler": {
    build: (writer) => encodeHello(writer, helloOfDialler),
    decode: decodeHello,
    means: helloOfDialler,
  },
  "hello-listener": {
    build: (writer) => encodeHello(writer, { ...hello, nonce: listenerNonce, proof_version: 2 }),
    decode: decodeHello,
    means: { ...hello, nonce: listenerNonce, proof_version: 2 },
  },
  "auth-dialler": auth(proofOf("dialler")),
  "auth-listener": auth(proofOf("listener")),
  "auth-dialler-tls": auth(proofOf("dialler", inTls)),
  "auth-listener-tls": auth(proofOf("listener", inTls)),
  request: {
    build: (writer) => messages.encodeRequest(writer, 1, request),
    decode: (body) => {
      const decoded = messages.decodeRequest(body);
      return { ...decoded, headers: { ...decoded.headers } };
    },
    means: request,
  },
  "request-stream": {
    build: (writer) => messages.encodeRequest(writer, 1, { ...request, headers: {}, payload: messages.streamPayload }),
    decode: (body) => messages.isRequestStream(messages.decodeRequest(body)),
    means: true,
  },
  "request-end": {
    build: (writer) => messages.encodeRequestEnd(writer, 1),
    decode: (body) => messages.decodeRequestEnd(body),
    means: undefined,
  },
  "items-delta": {
    build(writer) {
      const mark = writer.beginItems(1);
      encodeDeltaItem(writer, { text: "hello" });
      encodeDeltaItem(writer, { text: " wörld", tokenIds: [1, 4_294_967_295] });
      writer.endItems(1, mark);
    },
    decode: decodeItemsOf,
    means: [{ text: "hello" }, { text: " wörld", tokenIds: [1, 4_294_967_295] }],
  },
  "items-value": {
    build(writer) {
      const mark = writer.beginItems(1);
      encodeValueItem(writer, { word: "hello" });
      writer.endItems(1, mark);
    },
    decode: decodeItemsOf,
    means: [{ word: "hello" }],
  },
  end: { build: (writer) => endings.encodeEnd(writer, 1, trailer), decode: endings.decodeEnd, means: trailer },
  error: { build: (writer) => endings.encodeError(writer, 1, failure), decode: endings.decodeError, means: failure },
  "cancel-stop": {
    build: (writer) => messages.encodeCancel(writer, 1, "stop"),
    decode: messages.decodeCancel,
    means: "stop",
  },
  "cancel-kill": {
    build: (writer) => messages.encodeCancel(writer, 1, "kill"),
    decode: messages.decodeCancel,
    means: "kill",
  },
  "cancel-expired": {
    build: (writer) => messages.encodeCancel(writer, 1, "expired"),
    decode: messages.decodeCancel,
    means: "expired",
  },
  credit: {
    build: (writer) => messages.encodeCredit(writer, 1, 131_072),
    decode: messages.decodeCredit,
    means: 131_072,
  },
  ping: {
    build: (writer) => messages.encodePing(writer, "PING", Buffer.alloc(8, 1)),
    decode: (body) => body.toString("hex"),
    means: "01".repeat(8),
  },
  pong: {
    build: (writer) => messages.encodePing(writer, "PONG", Buffer.alloc(8, 1)),
    decode: (body) => body.toString("hex"),
    means: "01".repeat(8),
  },
  withdraw: {
    build: (writer) => messages.encodeWithdraw(writer, "demo/greeter/generate"),
    decode: messages.decodeWithdraw,
    means: "demo/greeter/generate",
  },
  goaway: {
    build: (writer) => messages.encodeGoaway(writer, "draining"),
    decode: (body) => body.toString(),
    means: "draining",
  },
};
const goldenDirectory = join(root, "tests/golden/plane");

describe("golden bytes", () => {
  test("exist for every frame type and nothing else", () => {
    expect(readdirSync(goldenDirectory).toSorted()).toEqual(
      ["preface.hex", ...Object.keys(golden).map((name) => `${name}.hex`)].toSorted(),
    );
    const types = Object.values(golden).flatMap(({ build }) => decodeAll(write(build)).map(({ type }) => type));
    expect(new Set(types)).toEqual(new Set(Object.values(frameTypes)));
  });

  test("of the preface hold", () => {
    expect(preface.toString("hex")).toBe(readFileSync(join(goldenDirectory, "preface.hex"), "utf8").trim());
  });

  test.each(Object.entries(golden))("of %s hold in both directions", (name, { build, decode, means }) => {
    const bytes = Buffer.from(readFileSync(join(goldenDirectory, `${name}.hex`), "utf8").trim(), "hex");
    expect(write(build).toString("hex")).toBe(bytes.toString("hex"));
    const [frame] = decodeAll(bytes);
    expect(frame && decode(frame.body)).toEqual(means);
    expect(bytes.length).toBe(frameHeaderBytes + (frame?.body.length ?? -1));
  });
});
