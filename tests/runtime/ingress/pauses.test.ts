// An engine whose items are there already never waits for anything. Others are heard all the same.
import { createMemorySpace, createRuntime } from "@dyn/runtime";
import { expect, test } from "vitest";
import { createPauses } from "../../../packages/runtime/src/ingress/pauses.ts";
import { createLogger } from "../../support/logger.ts";
import { address, collect, config } from "../peers.ts";

test("whoever has sent an item waits for the next round once there are 8 192 of this one, of all together", async () => {
  const rounds: (() => void)[] = [];
  const pauses = createPauses((goOn) => rounds.push(goOn));
  for (let round = 1; round <= 3; round += 1) {
    expect(Array.from({ length: 8_191 }, pauses).every((pause) => pause === undefined)).toBe(true);
    const [first, second] = [pauses(), pauses()];
    expect(first).toBeInstanceOf(Promise);
    expect(second).toBe(first);
    expect(rounds.length).toBe(1);
    rounds.pop()?.();
    await first;
  }
});

test("requests that could be answered at once leave rounds of the event loop to others", async () => {
  const memorySpace = createMemorySpace();
  const log = createLogger({ sink: () => undefined });
  await using worker = await createRuntime({ config, memorySpace, log: log.pino });
  await using caller = await createRuntime({ config, memorySpace, log: log.pino });
  let isOver = false;
  let sentInRound = 0;
  let most = 0;
  const count = (): void => {
    sentInRound = 0;
    if (!isOver) setImmediate(count);
  };
  await worker.endpoint(address).serve(async function* () {
    for (let item = 0; item < 6_000; item += 1) {
      sentInRound += 1;
      most = Math.max(most, sentInRound);
      yield item;
    }
  });
  const client = caller.client(address);
  count();
  const answers = await Promise.all(Array.from({ length: 8 }, () => collect(client.generate({}))));
  isOver = true;
  expect(answers.map(({ length }) => length)).toEqual(Array.from({ length: 8 }, () => 6_000));
  expect(most).toBeLessThan(2 * 8_192 + 8); // two halves of a round; it was all of them
});
