/** What a frame costs the receiver: decode time of item frames alone, and a stream between two runtimes of one process. */
import { createMemorySpace, createRuntime } from "../packages/runtime/dist/index.js";
import { FrameWriter } from "../packages/runtime/dist/wire/frame-writer.js";
import { FrameDecoder } from "../packages/runtime/dist/wire/frames.js";
import { decodeItems, encodeDeltaItem } from "../packages/runtime/dist/wire/items.js";

export interface PlaneResult {
  /** µs per ITEMS frame of one five-letter delta: cut from the stream and decoded. */
  readonly decodeMicros: number;
  /** µs per item, both ends and the kernel, in one process. */
  readonly throughMicros: number;
  readonly itemsPerSecond: number;
}

function measureDecode(): number {
  const frames = 200_000;
  const writer = new FrameWriter();
  for (let index = 0; index < frames; index += 1) {
    const id = 1 + (index % 64); // neighbours differ: one item a frame
    const mark = writer.beginItems(id);
    encodeDeltaItem(writer, { text: " word" });
    writer.endItems(id, mark);
  }
  const buffers = writer.take();
  const pass = (): number => {
    const decoder = new FrameDecoder(1 << 20);
    const startedAt = performance.now();
    for (const buffer of buffers) {
      for (let at = 0; at < buffer.length; at += 65_536) {
        const items: unknown[] = [];
        decoder.push(buffer.subarray(at, at + 65_536), (_type, _id, body) => decodeItems(body, items));
      }
    }
    return ((performance.now() - startedAt) * 1000) / frames;
  };
  return Math.min(pass(), pass(), pass(), pass(), pass());
}

export async function measurePlane(): Promise<PlaneResult> {
  const count = 500_000;
  const streams = 64;
  const memorySpace = createMemorySpace();
  const config = { discoveryBackend: "mem", log: "off" } as const;
  await using server = await createRuntime({ config, memorySpace });
  await using caller = await createRuntime({ config, memorySpace });
  await server.endpoint("dyn://bench.plane.generate").serve(
    async function* ({ items }: { items: number }) {
      for (let index = 0; index < items; index += 1) yield { text: " word" };
    },
    { encodeItem: encodeDeltaItem },
  );
  const client = caller.client<{ items: number }, { text: string }>("dyn://bench.plane.generate");
  const readAll = async (items: number): Promise<number> => {
    let received = 0;
    for await (const batch of client.generate({ items }).batches()) received += batch.length;
    return received;
  };
  await readAll(10_000);
  const startedAt = performance.now();
  const received = await Promise.all(Array.from({ length: streams }, () => readAll(count / streams)));
  const ms = performance.now() - startedAt;
  const total = received.reduce((sum, each) => sum + each, 0);
  return { decodeMicros: measureDecode(), throughMicros: (ms * 1000) / total, itemsPerSecond: (total * 1000) / ms };
}
