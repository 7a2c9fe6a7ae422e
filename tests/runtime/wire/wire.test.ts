// Bodies of the native plane's frames: any messages, and input nobody should send.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RuntimeError } from "../../../packages/runtime/src/errors.ts";
import type { FrameWriter } from "../../../packages/runtime/src/wire/frame-writer.ts";
import { frameTypes } from "../../../packages/runtime/src/wire/frames.ts";
import { decodeItems, encodeDeltaItem, encodeValueItem } from "../../../packages/runtime/src/wire/items.ts";
import { decodeHello } from "../../../packages/runtime/src/wire/hello.ts";
import * as endings from "../../../packages/runtime/src/wire/endings.ts";
import * as messages from "../../../packages/runtime/src/wire/messages.ts";
import { encodePayload } from "../../../packages/runtime/src/wire/payload.ts";
import { decodeAll, write } from "../bytes.ts";

function single(build: (writer: FrameWriter) => void): Buffer {
  const [frame, ...rest] = decodeAll(write(build));
  expect(rest).toEqual([]);
  return frame?.body ?? Buffer.alloc(0);
}

const anyText = fc.string({ unit: "grapheme", maxLength: 60 });
describe("messages", () => {
  test("REQUEST returns as it was", () => {
    const header = fc.dictionary(anyText, anyText, { maxKeys: 5 });
    fc.assert(
      fc.property(
        anyText,
        header,
        fc.nat(255),
        fc.nat(0xffff_ffff),
        fc.uint8Array(),
        (path, headers, attempt, number, bytes) => {
          const payload = Buffer.from(bytes);
          const request = { path, headers: { ...headers }, attempt, deadlineMs: number, credit: number, payload };
          const body = single((writer) => messages.encodeRequest(writer, 1, request));
          expect(messages.requestBytes(request)).toBe(body.length);
          const decoded = messages.decodeRequest(body);
          expect({ ...decoded, headers: { ...decoded.headers } }).toEqual(request);
        },
      ),
    );
  });

  test("REQUEST is refused by its sender when a header is too long for its length field", () => {
    const request = {
      path: "p",
      headers: { a: "x".repeat(65_536) },
      attempt: 0,
      deadlineMs: 0,
      credit: 1,
      payload: Buffer.alloc(0),
    };
    expect(() => write((writer) => messages.encodeRequest(writer, 1, request))).toThrow("longer than 65535 bytes");
  });

  test("deltas return as they were, in either form", () => {
    const delta = fc.record(
      {
        text: fc.oneof(anyText, fc.constant("x".repeat(70_000))),
        tokenIds: fc.array(fc.nat(0xffff_ffff), { minLength: 1, maxLength: 300 }),
        choice: fc.integer({ min: 1, max: 300 }),
        finishReason: fc.constantFrom("stop", "length"),
      },
      { requiredKeys: ["text"] },
    );
    fc.assert(
      fc.property(fc.array(delta, { maxLength: 5 }), (deltas) => {
        const body = single((writer) => {
          writer.begin(frameTypes.ITEMS, 1);
          for (const each of deltas) encodeDeltaItem(writer, each);
          writer.end();
        });
        const items: unknown[] = [];
        decodeItems(body, items);
        expect(items).toEqual(deltas);
      }),
    );
  });

  test("an error's message is cut between characters", () => {
    const message = `${"x".repeat(1_023)}😀`;
    const body = single((writer) =>
      endings.encodeError(writer, 1, { code: "internal", message, retryable: false, produced: false }),
    );
    expect(endings.decodeError(body).message).toBe(`${"x".repeat(1_023)}\ufffd`);
  });

  test("HELLO of another version is refused, whatever that is", () => {
    for (const version of [2, 2n ** 60n + 1n, "1", [], null, undefined]) {
      const body = encodePayload({ version, max_frame_bytes: 4_096, max_streams: 1 });
      expect(() => decodeHello(body)).toThrow(/^HELLO has version (?:2|bigint|string|object), expected 1$/);
    }
  });

  test("WITHDRAW with bad UTF-8 is refused", () => {
    expect(() => messages.decodeWithdraw(Buffer.from("61ff", "hex"))).toThrow("not valid UTF-8");
  });

  test("a delta with bad UTF-8 is refused", () => {
    expect(() => decodeItems(Buffer.from("0100000002c328", "hex"), [])).toThrow("not valid UTF-8");
  });

  test("items are decoded a part at a time, each once", () => {
    const frame = Buffer.concat([
      ...Array<Buffer>(500).fill(Buffer.from([1, 0, 0, 0, 1, 97])),
      Buffer.from([1, 0, 0, 0, 1, 98]),
    ]);
    const items: unknown[] = ["one before"];
    let at = 0;
    while (at < frame.length) at += decodeItems(frame.subarray(at), items, 7);
    expect(items).toEqual(["one before", ...Array.from({ length: 500 }, () => ({ text: "a" })), { text: "b" }]);
  });

  test("random bytes raise a RuntimeError or decode, nothing else", () => {
    const decoders: ((body: Buffer) => unknown)[] = [
      decodeHello,
      messages.decodeRequest,
      endings.decodeEnd,
      endings.decodeError,
      messages.decodeCancel,
      messages.decodeCredit,
      (body) => decodeItems(body, []),
    ];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(...decoders), (bytes, decode) => {
        try {
          decode(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(RuntimeError);
        }
      }),
      { numRuns: 5_000 },
    );
  });

  test("a body cut anywhere is refused", () => {
    const request = {
      path: "a/b/c",
      headers: { k: "v" },
      attempt: 0,
      deadlineMs: 0,
      credit: 1,
      payload: Buffer.alloc(0),
    };
    const bodies: [(body: Buffer) => unknown, Buffer][] = [
      [messages.decodeRequest, single((writer) => messages.encodeRequest(writer, 1, request))],
      [messages.decodeCredit, single((writer) => messages.encodeCredit(writer, 1, 9))],
      [
        (body) => decodeItems(body, []),
        single(
          (writer) => (writer.begin(3, 1), encodeDeltaItem(writer, { text: "hello", tokenIds: [1] }), writer.end()),
        ),
      ],
      [
        (body) => decodeItems(body, []),
        single((writer) => (writer.begin(3, 1), encodeValueItem(writer, { a: 1 }), writer.end())),
      ],
    ];
    for (const [decode, body] of bodies) {
      for (let length = 1; length < body.length; length += 1)
        expect(() => decode(body.subarray(0, length))).toThrow(RuntimeError);
    }
  });
});
