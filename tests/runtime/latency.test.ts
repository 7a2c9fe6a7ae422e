// Small writes leave at once, in both directions: with Nagle's algorithm they wait for the peer's delayed acknowledgement.
import { expect, test } from "vitest";
import { collect, startPair } from "./peers.ts";

// What waits for a delayed acknowledgement takes 40 ms at least, each time but for one in hundreds; what does not, takes as long as the machine is busy.
const delayedAckMs = 40;
const tries = 50;

/** The least of some times, up to the first that shows that nothing waits, ms. */
async function leastMs(work: () => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let time = 0; time < tries && least >= delayedAckMs; time += 1) {
    const startedAt = performance.now();
    await work();
    least = Math.min(least, performance.now() - startedAt);
  }
  return least;
}

test("a worker's second item does not wait for the acknowledgement of the first", async () => {
  await using pair = await startPair({
    async *handler() {
      yield 1;
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
      yield 2;
    },
  });
  expect(await leastMs(() => collect(pair.client.generate({ count: 1 })))).toBeLessThan(delayedAckMs);
});

test("a caller's second request does not wait for the acknowledgement of the first", async () => {
  await using pair = await startPair();
  const least = await leastMs(async () => {
    for (let time = 0; time < 5; time += 1) await collect(pair.client.generate({ count: 1 })); // a conversation: the kernel delays
    const silent = pair.client.generate({ count: 0 }).batches();
    const first = silent.next().catch(() => undefined);
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    await collect(pair.client.generate({ count: 1 }));
    await silent.return();
    await first;
  });
  expect(least).toBeLessThan(delayedAckMs);
});
