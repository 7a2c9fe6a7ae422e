// One answer on its way: handed up a part at a time, held as it came until then, and what passes the window is taken from the memory for requests.
import fc from "fast-check";
import { expect, test } from "vitest";
import { ClientStream } from "../../../packages/runtime/src/egress/client-stream.ts";
import { RuntimeError } from "../../../packages/runtime/src/errors.ts";
import { createMemoryBudget } from "../../../packages/runtime/src/memory-budget.ts";
import { createRuntimeMetrics } from "../../../packages/runtime/src/metrics/runtime-metrics.ts";
import { encodeDeltaItem, encodeValueItem } from "../../../packages/runtime/src/wire/items.ts";
import { decodeAll, write } from "../bytes.ts";

function toBody(texts: readonly string[]): Buffer {
  const bytes = write((writer) => {
    for (const text of texts) {
      const mark = writer.beginItems(1);
      encodeDeltaItem(writer, { text });
      writer.endItems(1, mark);
    }
  });
  return Buffer.concat(decodeAll(bytes).map(({ body }) => body));
}

function open({ windowBytes = 32 * 1024, limitMib = 1 } = {}) {
  const memory = createMemoryBudget(limitMib * 1024 * 1024, createRuntimeMetrics().memory);
  const said = { credit: [] as number[], cancels: 0 };
  const owner = {
    memory,
    sendCancel: () => void (said.cancels += 1),
    sendCredit: (_id: number, bytes: number) => void said.credit.push(bytes),
    sendEnd: () => undefined,
    forget: () => undefined,
    refuseItems: (_id: number, error: RuntimeError) => stream.cancel("kill", error),
  };
  const stream = new ClientStream(owner, 1, { windowBytes, isUnheard: false, sender: undefined });
  return { stream, memory, said };
}

const done = { type: "end", trailer: {} } as const;
const words = (count: number): string[] => Array.from({ length: count }, (_, index) => `${index} `);

/** A chunk arrives, in which there are these frames: its bytes are used again afterwards. */
function arrive(stream: ClientStream, ...bodies: readonly Buffer[]): void {
  const chunk = bodies.map((body) => Buffer.from(body));
  for (const body of chunk) stream.receive(body);
  stream.wake();
  for (const body of chunk) body.fill(0xff);
}

test("a frame of many items is handed up 256 at a time, to a reader that waits as to one that comes later", async () => {
  for (const waits of [true, false]) {
    const { stream } = open();
    const all = words(1_000);
    const first = waits ? stream.next() : undefined;
    arrive(stream, toBody(all));
    stream.finish(done);
    const batches: unknown[][] = [];
    for (let batch = await (first ?? stream.next()); batch; batch = await stream.next()) batches.push(batch);
    expect(batches.map((batch) => batch.length)).toEqual([256, 256, 256, 232]);
    expect(batches.flat()).toEqual(all.map((text) => ({ text })));
  }
});

test("whenever frames come and are read, all items arrive once and in order, and all credit is returned", async () => {
  const plan = fc.array(fc.tuple(fc.constantFrom("frame", "read"), fc.integer({ min: 1, max: 400 })), {
    maxLength: 60,
  });
  await fc.assert(
    fc.asyncProperty(plan, async (steps) => {
      const { stream, said } = open({ windowBytes: 1_000_000 });
      let sent = 0;
      const read: unknown[] = [];
      for (const [what, count] of steps) {
        if (what === "frame") {
          arrive(stream, toBody(Array.from({ length: count }, (_, index) => String(sent + index))));
          sent += count;
        } else if (read.length < sent) read.push(...((await stream.next()) ?? []));
      }
      stream.finish(done);
      for (let batch = await stream.next(); batch; batch = await stream.next()) read.push(...batch);
      expect(read).toEqual(Array.from({ length: sent }, (_, index) => ({ text: String(index) })));
      expect(said.cancels).toBe(0);
    }),
    { numRuns: 50 },
  );
});

test("half of the window that has been read is returned as credit", async () => {
  const { stream, said } = open({ windowBytes: 2_000 });
  arrive(stream, toBody(Array<string>(250).fill("abc")));
  await stream.next();
  expect(said.credit).toEqual([2_000]);
  const waiting = stream.next();
  arrive(stream, toBody(["abc"]));
  await waiting;
  expect(said.credit).toEqual([2_000]);
});

test("no credit is given for what is read once all of it has come", async () => {
  const { stream, said } = open({ windowBytes: 2_000 });
  arrive(stream, toBody(Array<string>(250).fill("abc")));
  stream.finish(done);
  await stream.next();
  expect(said.credit).toEqual([]);
});

test("items beyond the window are a fault of the worker, whether anybody reads or not", () => {
  for (const waits of [true, false]) {
    const { stream } = open({ windowBytes: 1_000 });
    if (waits) void stream.next();
    stream.receive(toBody(Array<string>(200).fill("abc")));
    expect(() => stream.receive(toBody(["abc"]))).toThrow("items beyond the granted credit");
  }
});

test("what a frame has beyond two windows is taken three times from the memory, until it has been read and more is asked for", async () => {
  const { stream, memory } = open({ windowBytes: 1_000 });
  const body = toBody(["x".repeat(20_000)]);
  arrive(stream, body);
  expect(memory.usedBytes).toBe(3 * (body.length - 2_000));
  await stream.next();
  expect(memory.usedBytes).toBe(3 * (body.length - 2_000));
  void stream.next();
  expect(memory.usedBytes).toBe(0);
  arrive(stream, body);
  expect(memory.usedBytes).toBeGreaterThan(0);
  stream[Symbol.dispose]();
  expect(memory.usedBytes).toBe(0);
});

test("what is given up is read by nobody, nor kept: a reader is told why, also of items that have come whole", async () => {
  const { stream, memory } = open({ windowBytes: 4_000 });
  const reason = new RuntimeError("cancelled", "enough");
  const waiting = stream.next();
  stream.receive(toBody(["abc"]));
  stream.abandon(reason);
  await expect(waiting).rejects.toBe(reason);
  stream.receive(toBody(["abc"]));
  await expect(stream.next()).rejects.toBe(reason);
  const { stream: another, memory: untouched } = open({ windowBytes: 1_000 });
  another.drop();
  another.receive(toBody(["x".repeat(20_000)]));
  expect([memory.usedBytes, untouched.usedBytes]).toEqual([0, 0]);
});

test("a frame that there is no memory for fails its stream, and takes nothing", () => {
  const { stream, memory } = open({ windowBytes: 1_000 });
  using other = memory.open();
  for (let left = 4; left > 0; left -= 1) other.take(250_000);
  expect(() => stream.receive(toBody(["x".repeat(20_000)]))).toThrow(expect.objectContaining({ code: "overloaded" }));
  expect(memory.usedBytes).toBe(1_000_000);
});

test("items before a bad one are handed up, then the stream fails and its worker is told, also when it has ended since", async () => {
  for (const hasEnded of [true, false]) {
    const { stream, said } = open();
    arrive(stream, Buffer.concat([toBody(["good"]), Buffer.from([9])]));
    if (hasEnded) stream.finish(done);
    expect(await stream.next()).toEqual([{ text: "good" }]);
    await expect(stream.next()).rejects.toThrow("unknown item form 9");
    expect(said.cancels).toBe(hasEnded ? 0 : 1);
  }
});

test("binary data is the reader's own: what comes later does not change it", async () => {
  const { stream } = open();
  const toPiece = (index: number): Uint8Array => new Uint8Array(10).fill(index % 251);
  const toPieces = (from: number): Buffer => {
    const bytes = write((writer) => {
      for (let index = from; index < from + 300; index += 1) {
        const mark = writer.beginItems(1);
        encodeValueItem(writer, toPiece(index));
        writer.endItems(1, mark);
      }
    });
    return Buffer.concat(decodeAll(bytes).map(({ body }) => body));
  };
  const read: unknown[] = [];
  for (let round = 0; round < 10; round += 1) {
    arrive(stream, toPieces(300 * round)); // held, and more than is handed up at a time
    read.push(...((await stream.next()) ?? []));
  }
  stream.finish(done);
  for (let batch = await stream.next(); batch; batch = await stream.next()) read.push(...batch);
  expect(read).toEqual(Array.from({ length: 3_000 }, (_, index) => toPiece(index)));
});
