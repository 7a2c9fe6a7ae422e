// The native plane's bytes: any messages, any cuts, and input nobody should send.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RuntimeError } from "../../packages/runtime/src/errors.ts";
import type { FrameWriter } from "../../packages/runtime/src/wire/frame-writer.ts";
import { frameTypes, preface } from "../../packages/runtime/src/wire/frames.ts";
import { decodeItems, encodeDeltaItem, encodeValueItem } from "../../packages/runtime/src/wire/items.ts";
import * as messages from "../../packages/runtime/src/wire/messages.ts";
import { decodePayload, encodePayload } from "../../packages/runtime/src/wire/payload.ts";
import { decodeAll, write } from "./bytes.ts";

function single(build: (writer: FrameWriter) => void): Buffer {
  const [frame, ...rest] = decodeAll(write(build));
  expect(rest).toEqual([]);
  return frame?.body ?? Buffer.alloc(0);
}

const anyFrame = fc.record({
  type: fc.constantFrom(...Object.values(frameTypes)),
  id: fc.nat(0xffff_ffff),
  body: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
});

describe("frames", () => {
  test("survive any cuts of the stream", () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 20 }), fc.array(fc.nat(6_000), { maxLength: 40 }), (frames, cuts) => {
        const bytes = write((writer) => {
          for (const { type, id, body } of frames) {
            writer.begin(type, id);
            writer.bytes(body);
            writer.end();
          }
        });
        expect(decodeAll(bytes, cuts)).toEqual(frames);
      }),
    );
  });

  test("survive one byte at a time, and bodies larger than the arena", () => {
    const body = Buffer.alloc(200_000, 7);
    const bytes = write((writer) => {
      for (const id of [1, 2]) {
        writer.begin(frameTypes.REQUEST, id);
        writer.bytes(body);
        writer.end();
      }
    });
    expect(decodeAll(bytes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 200_009, 200_010])).toEqual([1, 2].map((id) => ({ type: frameTypes.REQUEST, id, body })));
    const small = write((writer) => messages.encodeCancel(writer, 5, "kill"));
    expect(decodeAll(small, [...small.keys()])).toHaveLength(1);
  });

  test("over the limit are refused when their header is there, before the body", () => {
    const header = Buffer.from("ffffffff0300000001", "hex");
    expect(() => decodeAll(header)).toThrow("ITEMS frame of 4294967295 bytes, limit 1048576");
    expect(() => decodeAll(header, [4])).toThrow("limit");
  });

  test("of an unknown type are refused", () => {
    for (const type of [0, 11, 255]) expect(() => decodeAll(Buffer.from([0, 0, 0, 0, type, 0, 0, 0, 0]))).toThrow("unknown frame type");
  });

  test("begin with a preface no Dynamo request frame can begin with", () => {
    const pathBytes = preface.readUInt16BE(0);
    expect(pathBytes).toBeGreaterThan(0);
    expect(() => new TextDecoder("utf-8", { fatal: true }).decode(preface.subarray(2))).toThrow();
  });

  test("of items are shared within a tick and kept apart between streams", () => {
    const send = (writer: FrameWriter, id: number, text: string): void => {
      const mark = writer.beginItems(id);
      encodeDeltaItem(writer, { text });
      expect(writer.endItems(id, mark)).toBe(6 - 1 + text.length);
    };
    const bytes = write((writer) => {
      send(writer, 1, "a");
      send(writer, 1, "b");
      send(writer, 2, "c");
      send(writer, 1, "d");
    });
    const items = decodeAll(bytes).map(({ id, body }) => {
      const found: unknown[] = [];
      decodeItems(body, found);
      return [id, ...found];
    });
    expect(items).toEqual([
      [1, { text: "a" }, { text: "b" }],
      [2, { text: "c" }],
      [1, { text: "d" }],
    ]);
  });

  test("of items keep to the reader's limit, whatever the sizes; an item over it is dropped alone", () => {
    const limit = 100;
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(1, 1, 1, 2), fc.nat(120)), { maxLength: 200 }), fc.boolean(), (sent, nearArenaEnd) => {
        const kept: [number, unknown][] = [];
        const bytes = write((writer) => {
          writer.begin(frameTypes.PING, 0);
          writer.bytes(Buffer.alloc(nearArenaEnd ? 64 * 1024 - 3_000 : 0)); // 200 items do not fit behind it
          writer.end();
          writer.maxBodyBytes = limit;
          for (const [id, size] of sent) {
            const delta = { text: "x".repeat(size) };
            const mark = writer.beginItems(id);
            encodeDeltaItem(writer, delta);
            const isTooLarge = 5 + size > limit;
            if (isTooLarge) expect(() => writer.endItems(id, mark)).toThrow(`an item is ${5 + size} bytes on the plane, the client's limit is 100`);
            else expect(writer.endItems(id, mark)).toBe(5 + size);
            if (!isTooLarge) kept.push([id, delta]);
          }
        });
        const frames = decodeAll(bytes).slice(1);
        for (const { body } of frames) expect(body.length).toBeLessThanOrEqual(limit);
        const items = frames.flatMap(({ id, body }) => {
          const found: unknown[] = [];
          decodeItems(body, found);
          return found.map((item) => [id, item]);
        });
        expect(items).toEqual(kept);
      }),
    );
  });

  test("lose an abandoned item and nothing else", () => {
    const bytes = write((writer) => {
      for (const text of ["a", undefined, "b"]) {
        const mark = writer.beginItems(1);
        writer.u8(9);
        if (text === undefined) {
          writer.abandon(mark);
          continue;
        }
        writer.text16(text);
        writer.endItems(1, mark);
      }
      const mark = writer.beginItems(2);
      writer.u32(1);
      writer.abandon(mark);
      messages.encodeCredit(writer, 3, 4);
    });
    const bodies = decodeAll(bytes).map(({ id, body }) => [id, body.toString("hex")]);
    expect(bodies).toEqual([
      [1, "09000161"],
      [1, "09000162"],
      [3, "00000004"],
    ]);
  });
});

const anyText = fc.string({ unit: "grapheme", maxLength: 60 });
const anyPlain = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.double({ noNaN: true }).filter((number) => !Object.is(number, -0)),
    fc.bigInt({ min: 2n ** 53n + 1n, max: 2n ** 64n - 1n }),
    anyText,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(
      anyText.filter((key) => key !== "__proto__"),
      tie("value"),
      { maxKeys: 4, noNullPrototype: true },
    ),
  ),
})).value;

describe("messages", () => {
  test("REQUEST returns as it was", () => {
    const header = fc.dictionary(anyText, anyText, { maxKeys: 5 });
    fc.assert(
      fc.property(anyText, header, fc.nat(255), fc.nat(0xffff_ffff), fc.uint8Array(), (path, headers, attempt, number, bytes) => {
        const payload = Buffer.from(bytes);
        const request = { path, headers: { ...headers }, attempt, deadlineMs: number, credit: number, payload };
        const body = single((writer) => messages.encodeRequest(writer, 1, request));
        expect(messages.requestBytes(request)).toBe(body.length);
        const decoded = messages.decodeRequest(body);
        expect({ ...decoded, headers: { ...decoded.headers } }).toEqual(request);
      }),
    );
  });

  test("REQUEST is refused by its sender when a header is too long for its length field", () => {
    const request = { path: "p", headers: { a: "x".repeat(65_536) }, attempt: 0, deadlineMs: 0, credit: 1, payload: Buffer.alloc(0) };
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

  test("payloads of plain data return as they were, u64 included", () => {
    fc.assert(
      fc.property(anyPlain, (value) => {
        expect(decodePayload(encodePayload(value), "x")).toEqual(value);
      }),
    );
    expect(decodePayload(encodePayload({ a: undefined }), "x")).toEqual({ a: null });
  });

  test.each([
    ["the reserved byte", "c1"],
    ["the reserved byte inside a list", "91c1"],
    ["an extension", "d40101"],
    ["the extension for undefined", "d40001"],
    ["the extension for undefined in a list", "91d40001"],
    ["a timestamp extension", "d6ff00000000"],
    ["a record definition", "d4724093a161a162a163"],
    ["two values", "0101"],
    ["nothing", ""],
    ["a cut string", "a5616263"],
    ["a list longer than its bytes", "ddffffffff"],
    ["65 levels", `${"91".repeat(65)}c0`],
    ["100000 levels", `${"91".repeat(100_000)}c0`],
  ])("a payload with %s is refused", (_name, hex) => {
    expect(() => decodePayload(Buffer.from(hex, "hex"), "payload")).toThrow(RuntimeError);
  });

  test("a delta with bad UTF-8 is refused", () => {
    expect(() => decodeItems(Buffer.from("0100000002c328", "hex"), [])).toThrow("not valid UTF-8");
  });

  test("random bytes raise a RuntimeError or decode, nothing else", () => {
    const decoders: ((body: Buffer) => unknown)[] = [
      messages.decodeHello,
      messages.decodeRequest,
      messages.decodeEnd,
      messages.decodeError,
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
    const request = { path: "a/b/c", headers: { k: "v" }, attempt: 0, deadlineMs: 0, credit: 1, payload: Buffer.alloc(0) };
    const bodies: [(body: Buffer) => unknown, Buffer][] = [
      [messages.decodeRequest, single((writer) => messages.encodeRequest(writer, 1, request))],
      [messages.decodeCredit, single((writer) => messages.encodeCredit(writer, 1, 9))],
      [
        (body) => decodeItems(body, []),
        single((writer) => (writer.begin(3, 1), encodeDeltaItem(writer, { text: "hello", tokenIds: [1] }), writer.end())),
      ],
      [(body) => decodeItems(body, []), single((writer) => (writer.begin(3, 1), encodeValueItem(writer, { a: 1 }), writer.end()))],
    ];
    for (const [decode, body] of bodies) {
      for (let length = 1; length < body.length; length += 1) expect(() => decode(body.subarray(0, length))).toThrow(RuntimeError);
    }
  });
});
