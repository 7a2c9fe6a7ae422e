// An answer that is read through interceptors: its facts stay true, and leaving it cancels the request.
import { describe, expect, test } from "vitest";
import { createMemorySpace, createRuntime, RuntimeError, type Interceptor } from "../../packages/runtime/src/index.ts";
import { eventually } from "../support/cluster.ts";
import { add, ask, startEnds } from "./intercepted-ends.ts";
import { address, collect, config, failureOf } from "./peers.ts";

describe("an answer through interceptors", () => {
  test("has the facts of its attempts", async () => {
    await using ends = await startEnds({ asked: [add(0)] });
    const answer = ends.client.generate({ count: 2 });
    expect([answer.attempts, answer.instanceId]).toEqual([0, undefined]);
    const batches: unknown[] = [];
    for await (const batch of answer.batches()) batches.push(batch);
    expect(batches).toEqual([[0], [1]]);
    expect(answer).toMatchObject({ attempts: 1, retries: 0, trailer: { items: 2 }, instanceId: expect.any(String) });
    expect(answer.reports).toMatchObject([{ number: 0, isSent: true, outcome: "success" }]);
  });

  test("is one call at the client however many attempts it takes, and each attempt is one at its endpoint", async () => {
    const seen: unknown[] = [];
    const mark: Interceptor = (next) => (call) => {
      seen.push("client");
      return next({ ...call, request: { count: 3 }, baggage: "marked=1" });
    };
    const refuseFirst: Interceptor = (next) => (call) => {
      if (call.side === "client") throw new Error("not at a client");
      seen.push([call.context.attempt, call.baggage, call.request]);
      if (call.context.attempt === 0) throw new RuntimeError("overloaded", "not this one");
      return next(call);
    };
    const memorySpace = createMemorySpace();
    const quiet = { config: { ...config, log: "off" }, memorySpace } as const;
    await using first = await createRuntime(quiet);
    await using second = await createRuntime(quiet);
    for (const runtime of [first, second])
      await runtime.endpoint(address).serve(async () => "done", { interceptors: [refuseFirst] });
    await using caller = await createRuntime(quiet);
    const client = caller.client(address, { interceptors: [mark], retry: { attempts: 2 } });
    await client.waitForInstances({ count: 2 });
    const answer = client.generate({ count: 1 });
    expect(await collect(answer)).toEqual(["done"]);
    expect(seen).toEqual(["client", [0, "marked=1", { count: 3 }], [1, "marked=1", { count: 3 }]]);
    expect(answer).toMatchObject({ attempts: 2, retries: 1, resumptions: 0 });
    expect(answer.reports).toMatchObject([{ outcome: "rejected" }, { outcome: "success" }]);
  });

  test("is read once, and sends nothing before", async () => {
    let calls = 0;
    await using ends = await startEnds({ asked: [add(0)], handler: async () => (calls += 1) });
    const answer = ends.client.generate({ count: 1 });
    await collect(ends.client.generate({ count: 1 }));
    expect(calls).toBe(1);
    await collect(answer);
    expect(() => answer.batches()).toThrow("an answer is read once");
  });

  test("that is left early cancels the request", async () => {
    await using ends = await startEnds({ asked: [add(0)], served: [add(0)] });
    const answer = ends.client.generate({ count: 1_000_000 });
    for await (const item of answer) if (item === 2) break;
    await eventually("the worker's line", () =>
      ends.lines.find(({ message, status }) => message === "request completed" && status === "cancelled"),
    );
    expect(answer.reports).toMatchObject([{ outcome: "cancelled" }]);
  });

  test("ends its request though an interceptor leaves items unread, without a word to anybody", async () => {
    const sloppy: Interceptor = (next) =>
      async function* (call) {
        const items = next(call)[Symbol.asyncIterator]();
        yield (await items.next()).value;
      };
    await using ends = await startEnds({ asked: [sloppy] });
    const answer = ends.client.generate({ count: 1_000_000 });
    expect(await collect(answer)).toEqual([0]);
    await eventually("the worker's line", () =>
      ends.lines.find(({ message, status }) => message === "request completed" && status === "cancelled"),
    );
    expect(answer.reports).toMatchObject([{ outcome: "cancelled" }]);
  });

  test("tells an interceptor that waits when its reader leaves, and sends nothing any more", async () => {
    const { promise: waiting, resolve } = Promise.withResolvers<void>();
    const slow: Interceptor = (next) =>
      async function* (call) {
        resolve();
        await new Promise((leave) => call.signal.addEventListener("abort", leave));
        yield* next(call);
      };
    await using ends = await startEnds({ asked: [slow] });
    const answer = ends.client.generate({ count: 1 });
    const batches = answer.batches();
    const read = batches.next();
    await waiting;
    await batches.return();
    expect(await failureOf(read)).toMatchObject({ code: "cancelled" });
    expect(answer.attempts).toBe(0);
  });

  test("tells an interceptor that waits when its time is over", async () => {
    const slow: Interceptor = (next) =>
      async function* (call) {
        await new Promise((leave) => call.signal.addEventListener("abort", leave));
        yield* next(call);
      };
    await using ends = await startEnds({ asked: [slow] });
    const answer = ends.client.generate({ count: 1 }, { timeoutMs: 20 });
    expect(await failureOf(collect(answer))).toMatchObject({ code: "deadline_exceeded" });
    expect(answer.attempts).toBe(0);
  });

  test("ends when its time is over though an interceptor waits for something that never comes", async () => {
    const stuck: Interceptor = (next) =>
      async function* (call) {
        await new Promise(() => undefined);
        yield* next(call);
      };
    await using ends = await startEnds({ asked: [stuck] });
    const answer = ends.client.generate({ count: 1 }, { timeoutMs: 20 });
    expect(await failureOf(collect(answer))).toMatchObject({ code: "deadline_exceeded" });
    expect(answer.attempts).toBe(0);
    const left = new AbortController();
    const other = failureOf(ends.client.call({ count: 1 }, { signal: left.signal }));
    left.abort();
    expect(await other).toMatchObject({ code: "cancelled" });
  });

  test("fails with an error of ours, whatever an interceptor throws", async () => {
    const broken: Interceptor = () => () => {
      throw new TypeError("no such thing");
    };
    await using ends = await startEnds({ asked: [broken] });
    expect(await failureOf(collect(ends.client.generate({ count: 1 })))).toMatchObject({
      code: "internal",
      message: "no such thing",
    });
  });

  test("that is left fails with an error of ours, if an interceptor throws at its end", async () => {
    const broken: Interceptor = (next) =>
      async function* (call) {
        try {
          yield* next(call);
        } finally {
          await Promise.reject(new TypeError("no such thing"));
        }
      };
    await using ends = await startEnds({ asked: [broken] });
    const batches = ends.client.generate({ count: 3 }).batches();
    await batches.next();
    expect(await failureOf(batches.return?.())).toMatchObject({ code: "internal", message: "no such thing" });
  });

  test("with a request that cannot be sent says so where it is read", async () => {
    await using ends = await startEnds({ asked: [ask({ count: (() => 1) as unknown as number })] });
    expect(await failureOf(ends.client.call({ count: 1 }))).toMatchObject({
      code: "invalid_argument",
      message: "count is a function",
    });
  });
});
