// Frames of the native plane: any cuts, any sizes, and input nobody should send.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createMemoryBudget } from "../../../packages/runtime/src/memory-budget.ts";
import { createRuntimeMetrics } from "../../../packages/runtime/src/metrics/runtime-metrics.ts";
import type { FrameWriter } from "../../../packages/runtime/src/wire/frame-writer.ts";
import { FrameDecoder, frameTypes, preface } from "../../../packages/runtime/src/wire/frames.ts";
import { decodeItems, encodeDeltaItem } from "../../../packages/runtime/src/wire/items.ts";
import * as messages from "../../../packages/runtime/src/wire/messages.ts";
import { decodeAll, requestHeader, write } from "../bytes.ts";

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
    expect(decodeAll(bytes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 200_009, 200_010])).toEqual(
      [1, 2].map((id) => ({ type: frameTypes.REQUEST, id, body })),
    );
    const small = write((writer) => messages.encodeCancel(writer, 5, "kill"));
    expect(decodeAll(small, [...small.keys()])).toHaveLength(1);
  });

  test("that arrive in pieces keep none of the pieces", () => {
    const frames = [0, 1, 9, 100, 70_000].map((size, id) => ({
      type: frameTypes.ITEMS,
      id,
      body: Buffer.alloc(size, 65 + id),
    }));
    const bytes = write((writer) => {
      for (const { type, id, body } of frames) {
        writer.begin(type, id);
        writer.bytes(body);
        writer.end();
      }
    });
    for (const size of [1, 7, 64, 4_096]) {
      const decoder = new FrameDecoder(100_000);
      const found: unknown[] = [];
      const piece = Buffer.alloc(size); // overwritten by the next one
      for (let at = 0; at < bytes.length; at += size) {
        const copied = bytes.copy(piece, 0, at);
        decoder.push(piece.subarray(0, copied), (type, id, body) => found.push({ type, id, body: Buffer.from(body) }));
      }
      expect(found).toEqual(frames);
    }
  });

  test("over the limit are refused when their header is there, before the body", () => {
    const header = Buffer.from("ffffffff0300000001", "hex");
    expect(() => decodeAll(header)).toThrow("ITEMS frame of 4294967295 bytes, limit 1048576");
    expect(() => decodeAll(header, [4])).toThrow("limit");
  });

  test("of an unknown type are refused", () => {
    for (const type of [0, 13, 255])
      expect(() => decodeAll(Buffer.from([0, 0, 0, 0, type, 0, 0, 0, 0]))).toThrow("unknown frame type");
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
      fc.property(
        fc.array(fc.tuple(fc.constantFrom(1, 1, 1, 2), fc.nat(120)), { maxLength: 200 }),
        fc.boolean(),
        (sent, nearArenaEnd) => {
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
              if (isTooLarge)
                expect(() => writer.endItems(id, mark)).toThrow(
                  `an item is ${5 + size} bytes on the plane, its reader's limit is 100, set by DYN_TCP_MAX_MESSAGE_SIZE there: give it in pieces`,
                );
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
        },
      ),
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

test("a frame that there is no memory for is passed over, however it is cut; the others are handed on", () => {
  const sizes = fc.array(fc.constantFrom(0, 1, 100, 16_000, 16_384, 20_000, 70_000), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(
      sizes,
      fc.array(fc.integer({ min: 1, max: 30_000 }), { minLength: 1, maxLength: 12 }),
      (bodies, cuts) => {
        const bytes = Buffer.concat(
          bodies.flatMap((size, index) => [requestHeader(index + 1, size), Buffer.alloc(size, index)]),
        );
        const budget = createMemoryBudget(1 * 1024 * 1024, createRuntimeMetrics().memory);
        using others = budget.open();
        for (let left = 4; left > 0; left -= 1) others.take((budget.limitBytes - 40_000) / 4);
        using share = budget.open();
        const seen: number[] = [];
        const refused: number[] = [];
        const decoder = new FrameDecoder(100_000, { share, onRefused: (_type, streamId) => refused.push(streamId) });
        for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
          const next = at + (cuts[turn % cuts.length] ?? 1);
          decoder.push(bytes.subarray(at, next), (_type, streamId, body) => {
            expect(body.equals(Buffer.alloc(bodies[streamId - 1] ?? 0, streamId - 1))).toBe(true);
            seen.push(streamId);
          });
          at = next;
        }
        expect([...seen, ...refused].toSorted((left, right) => left - right)).toEqual(
          bodies.map((_, index) => index + 1),
        );
        expect(refused.every((id) => bodies[id - 1] === 70_000)).toBe(true);
        expect(share.bytes).toBe(0);
      },
    ),
  );
});
