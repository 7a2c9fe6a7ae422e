// One item for one request: an async function at one end, `call` at the other.
import { describe, expect, test } from "vitest";
import type { Handler } from "../../packages/runtime/src/index.ts";
import { collect, failureOf, startPair, type Ask } from "./peers.ts";
import { eventually } from "../support/cluster.ts";

const twice: Handler<Ask, unknown> = async ({ count }) => ({ twice: 2 * count });

describe("a call", () => {
  test("gives what an async function returns, and is a success at both ends", async () => {
    await using pair = await startPair({ handler: twice });
    expect(await pair.client.call({ count: 4 })).toEqual({ twice: 8 });
    const completed = await eventually("both lines", () => {
      const lines = pair.lines.filter(({ message }) => String(message).endsWith("request completed"));
      return lines.length === 2 && lines;
    });
    expect(completed).toMatchObject([
      { message: "request completed", status: "success", items: 1 },
      { message: "route request completed", "request.outcome": "success" },
    ]);
  });

  test("gives the only item of a generator, and of a promise of one", async () => {
    for (const handler of [
      async function* () {
        yield 7;
      },
      async () =>
        (async function* () {
          yield 7;
        })(),
    ] as Handler<Ask, unknown>[]) {
      await using pair = await startPair({ handler });
      expect(await pair.client.call({ count: 1 })).toBe(7);
    }
  });

  test("of a function that returns nothing gives null", async () => {
    await using pair = await startPair({ handler: async () => undefined });
    expect(await pair.client.call({ count: 1 })).toBeNull();
  });

  test("that gets a second item says so, and the handler is told to stop", async () => {
    await using pair = await startPair();
    expect(await failureOf(pair.client.call({ count: 100_000 }))).toMatchObject({
      code: "protocol",
      message: "the endpoint gave more than one item: read them with `generate`",
    });
    await eventually("the worker's line", () =>
      pair.workerLines.find(({ message, status }) => message === "request completed" && status === "cancelled"),
    );
  });

  test("that gets no item says so", async () => {
    await using pair = await startPair({ handler: async function* () {} });
    expect(await failureOf(pair.client.call({ count: 1 }))).toMatchObject({
      code: "protocol",
      message: "the endpoint gave no item: read its answer with `generate`",
    });
  });

  test("of a handler that fails has its error, whatever kind of function it is", async () => {
    await using pair = await startPair({ handler: () => Promise.reject(new Error("secret detail")) });
    expect(await failureOf(pair.client.call({ count: 1 }))).toMatchObject({
      code: "internal",
      message: "the worker failed",
    });
  });

  test("is sent at once, whoever waits for it", async () => {
    const [{ promise: begun, resolve }, { promise: held, resolve: release }] = [
      Promise.withResolvers<void>(),
      Promise.withResolvers<void>(),
    ];
    await using pair = await startPair({
      handler: async () => {
        resolve();
        await held;
        return 1;
      },
    });
    const called = pair.client.call({ count: 1 });
    await begun;
    release();
    expect(await called).toBe(1);
  });

  test("with a request that cannot be sent rejects, and throws nothing", async () => {
    await using pair = await startPair();
    const called = pair.client.call({ count: (() => 1) as unknown as number });
    expect(await failureOf(called)).toMatchObject({ code: "invalid_argument", message: "count is a function" });
  });
});

test("what a generator returns is not lost in silence: the request fails after its items, and says what to do", async () => {
  await using pair = await startPair({
    handler: async function* () {
      yield 1;
      return 2;
    } as unknown as Handler<Ask, unknown>,
  });
  expect(await failureOf(collect(pair.client.generate({ count: 1 })))).toMatchObject({ code: "internal" });
  const completed = pair.workerLines.find(({ message }) => message === "request completed");
  expect(completed).toMatchObject({
    items: 1,
    error: "the handler is a generator and returned a value, which would be lost: yield it",
  });
});
