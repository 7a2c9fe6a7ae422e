// Every limit of the plane, reached.
import { describe, expect, test } from "vitest";
import { RuntimeError } from "../../packages/runtime/src/errors.ts";
import { collect, failureOf, startPair } from "./peers.ts";

describe("the caller's frame limit", () => {
  test("costs the stream of an item over it, and no neighbour", async () => {
    await using pair = await startPair({ caller: { maxFrameBytes: 100_000 } });
    const running = pair.client.generate({ count: 20_000, size: 50 }).batches();
    let items = (await running.next()).value?.length ?? 0;
    expect(await failureOf(collect(pair.client.generate({ count: 1, size: 150_000 })))).toMatchObject({
      code: "too_large",
      message: expect.stringContaining("the client's limit is 100000"),
    });
    for await (const batch of running) items += batch.length;
    expect(items).toBe(20_000);
  });

  test("is kept by items that share a frame, at the least limit there is", async () => {
    await using pair = await startPair({ caller: { maxFrameBytes: 4_096 } });
    expect(await collect(pair.client.generate({ count: 5_000, size: 100 }))).toHaveLength(5_000);
    expect(await collect(pair.client.generate({ count: 50, size: 3_000 }))).toHaveLength(50);
  });

  test("is kept by what a failing engine says", async () => {
    await using pair = await startPair({
      caller: { maxFrameBytes: 4_096 },
      async *handler() {
        yield 1;
        throw new RuntimeError("invalid_argument", "\u{20ac}".repeat(5_000));
      },
    });
    const failure = await failureOf(collect(pair.client.generate({ count: 1 }, { xRequestId: "x".repeat(256) })));
    expect(failure).toMatchObject({ code: "invalid_argument", message: "\u{20ac}".repeat(1_024) });
  });
});
