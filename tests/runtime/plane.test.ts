// The plane between two runtimes over real sockets.
import assert from "node:assert";
import { describe, expect, test } from "vitest";
import { createServer, type AddressInfo } from "node:net";
import { parseAddress } from "../../packages/runtime/src/discovery/records.ts";
import { RuntimeError } from "../../packages/runtime/src/errors.ts";
import { createMemorySpace, createRuntime } from "../../packages/runtime/src/index.ts";
import { createLogger } from "../support/logger.ts";
import { eventually } from "../support/cluster.ts";
import { address, collect, config, failureOf, path, startPair, type Ask } from "./peers.ts";

describe("between runtimes", () => {
  test("an answer is read once: a second reading would be a second request", async () => {
    await using pair = await startPair();
    const answer = pair.client.generate({ count: 2 });
    expect(await collect(answer)).toHaveLength(2);
    await expect(collect(answer)).rejects.toMatchObject({
      code: "invalid_argument",
      message: "an answer is read once",
    });
    expect(answer.attempts).toBe(1);
  });

  test("thousands of items arrive in order, many streams at a time", async () => {
    await using pair = await startPair();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => collect(pair.client.generate({ count: 2_000 }))),
    );
    for (const answer of answers)
      expect(answer.map((item) => (item as { index: number }).index)).toEqual([...Array(2_000).keys()]);
  });

  test("a request over the worker's frame limit is refused before it is sent, and costs nobody else anything", async () => {
    await using pair = await startPair({ worker: { tcpMaxMessageSize: 8_192 } });
    const running = pair.client.generate({ count: 50_000, size: 100 }).batches();
    let items = (await running.next()).value?.length ?? 0;
    const large = { count: 1, fill: "x".repeat(10_000) };
    expect(await failureOf(collect(pair.client.generate(large)))).toMatchObject({
      code: "too_large",
      message: expect.stringContaining("limit is 8192, set by its DYN_TCP_MAX_MESSAGE_SIZE"),
    });
    for await (const batch of running) items += batch.length;
    expect(items).toBe(50_000);
  });

  test("items larger than the window arrive", async () => {
    await using pair = await startPair();
    expect(await collect(pair.client.generate({ count: 4, size: 700_000 }))).toHaveLength(4);
  });

  test("a reader that stops holds its own stream at the engine, not its neighbours", async () => {
    await using pair = await startPair();
    const slow = pair.client.generate({ count: 100_000, size: 1_000 }).batches();
    await slow.next();
    const held = await eventually("the engine being held", async () => {
      const before = pair.yielded();
      await collect(pair.client.generate({ count: 1 }));
      return pair.yielded() === before + 1 && before;
    });
    expect(held).toBeLessThan(2_000);
    await slow.return();
  });

  test("leaving the loop aborts the engine's signal", async () => {
    await using pair = await startPair();
    for await (const _ of pair.client.generate({ count: 1_000_000 })) break;
    await eventually("the abort", () => pair.contexts[0]?.signal.aborted);
  });

  test("an aborted signal rejects with its meaning and reaches the engine", async () => {
    await using pair = await startPair();
    const aborter = new AbortController();
    const answer = failureOf(collect(pair.client.generate({ count: 0 }, { signal: aborter.signal })));
    await eventually("the request", () => pair.contexts.length === 1);
    aborter.abort();
    expect((await answer).code).toBe("cancelled");
    await eventually("the abort", () => pair.contexts[0]?.signal.aborted);
  });

  test("an abort while the worker is still being dialled does not wait for it", async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as AddressInfo;
    const memorySpace = createMemorySpace();
    const never = { ...config, tcpConnectTimeoutMs: 600_000 };
    await using caller = await createRuntime({
      config: never,
      memorySpace,
      log: createLogger({ sink: () => undefined }).pino,
    });
    const transport = { tcp: `127.0.0.1:${port}/1/${path}` };
    await caller.discovery.publish({
      type: "Endpoint",
      ...parseAddress(address),
      instance_id: 1n,
      transport,
      dyn_plane: 1,
    });
    const aborter = new AbortController();
    const answer = failureOf(
      collect(caller.client<Ask, unknown>(address).generate({ count: 1 }, { signal: aborter.signal })),
    );
    aborter.abort();
    expect((await answer).code).toBe("cancelled");
    silent.close();
  });

  test("a request of a runtime that closes blames no worker", async () => {
    await using pair = await startPair();
    const answer = failureOf(collect(pair.client.generate({ count: 0 })));
    await eventually("the request", () => pair.contexts.length === 1);
    await pair[Symbol.asyncDispose]();
    expect(await answer).toMatchObject({ code: "unavailable", message: "this runtime is closed" });
  });

  test.each<[string, unknown, string]>([
    ["an Error of the caller's", new Error("user left"), "cancelled"],
    ["an Error of the caller's with a code", Object.assign(new Error("x"), { code: "internal" }), "cancelled"],
    ["a text", "enough", "cancelled"],
    ["a timeout", new DOMException("too late", "TimeoutError"), "deadline_exceeded"],
    ["a RuntimeError", new RuntimeError("unavailable", "leaving"), "unavailable"],
  ])("%s as the reason of an abort", async (_name, reason, code) => {
    await using pair = await startPair();
    const aborter = new AbortController();
    const answer = failureOf(collect(pair.client.generate({ count: 0 }, { signal: aborter.signal })));
    await eventually("the request", () => pair.contexts.length === 1);
    aborter.abort(reason);
    const failure = await answer;
    expect(failure.code).toBe(code);
    expect(failure === reason || failure.cause === reason).toBe(true);
    expect((await failureOf(collect(pair.client.generate({ count: 1 }, { signal: aborter.signal })))).code).toBe(code);
  });

  test.each<[string, unknown]>([
    ["an object without a prototype", Object.create(null)],
    ["an Error with a trap", Object.defineProperty(new Error("x"), "name", { get: () => assert.fail("trapped") })],
  ])("%s as the reason of an abort is a cancel like others", async (_name, reason) => {
    await using pair = await startPair();
    const aborter = new AbortController();
    const answer = failureOf(collect(pair.client.generate({ count: 0 }, { signal: aborter.signal })));
    await eventually("the request", () => pair.contexts.length === 1);
    aborter.abort(reason);
    expect(await answer).toMatchObject({ code: "cancelled", message: "something was thrown that cannot be read" });
  });

  test("a reader that leaves while the worker is being dialled has sent nothing", async () => {
    await using pair = await startPair();
    const batches = pair.client.generate({ count: 0 }).batches();
    const first = failureOf(batches.next());
    await batches.return();
    expect((await first).code).toBe("cancelled");
    expect(await collect(pair.client.generate({ count: 1 }))).toHaveLength(1);
    expect(pair.contexts).toHaveLength(1);
  });

  test.each([0, -1, 1.5, Number.NaN, 2 ** 31, 3e9])("a timeout of %d ms is refused", async (timeoutMs) => {
    await using pair = await startPair();
    expect(() => pair.client.generate({ count: 1 }, { timeoutMs })).toThrow(
      expect.objectContaining({
        code: "invalid_argument",
        message: `timeoutMs must be a whole number from 1 to 2147483647, got ${timeoutMs}`,
      }),
    );
    expect(await collect(pair.client.generate({ count: 1 }, { timeoutMs: 2 ** 31 - 1 }))).toHaveLength(1);
  });

  test("an instance that is named is asked in every router mode, and one that is not there by no other", async () => {
    await using pair = await startPair();
    const [instance] = await pair.client.waitForInstances();
    if (!instance) throw new Error("there is no instance");
    expect(await collect(pair.client.generate({ count: 1 }, { instanceId: instance.id }))).toHaveLength(1);
    expect(await failureOf(collect(pair.client.generate({ count: 1 }, { instanceId: "12" })))).toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/^instance 12 does not serve /),
    });
    for (const instanceId of ["", "x", "0012", "-1", "18446744073709551616"])
      expect(() => pair.client.generate({ count: 1 }, { instanceId })).toThrow(
        "instanceId must be the text of a decimal u64",
      );
  });

  test("a timeout travels to the worker", async () => {
    await using pair = await startPair();
    await collect(pair.client.generate({ count: 1 })); // the worker is found and dialled: the time is for the request
    expect((await failureOf(collect(pair.client.generate({ count: 0 }, { timeoutMs: 1_000 })))).code).toBe(
      "deadline_exceeded",
    );
    await eventually("the abort", () => pair.contexts[1]?.signal.aborted);
  });

  test("an engine that throws ends its request with a typed error that keeps its secret", async () => {
    await using pair = await startPair();
    const error = await failureOf(collect(pair.client.generate({ count: 3, fail: true })));
    expect(error.code).toBe("internal");
    expect(error.message).not.toContain("secret");
    expect(await collect(pair.client.generate({ count: 1 }))).toHaveLength(1);
  });

  test("an item that cannot be encoded is the worker's fault, and does not count as sent", async () => {
    await using pair = await startPair({
      async *handler() {
        yield { size: () => 1 };
      },
    });
    const answer = pair.client.generate({ count: 1 });
    expect(await failureOf(collect(answer))).toMatchObject({ code: "internal", message: "the worker failed" });
    expect(answer.trailer).toMatchObject({ items: 0 });
    const completed = pair.workerLines.find(({ message }) => message === "request completed");
    expect(completed).toMatchObject({ status: "error", error_type: "internal", items: 0 });
    expect(completed).not.toHaveProperty("ttft_ms");
    expect(String(completed?.["error"])).toContain("size is a function");
  });

  test("the worker's trailer says which ids it saw", async () => {
    await using pair = await startPair();
    const answer = pair.client.generate({ count: 2 }, { xRequestId: "mine" });
    await collect(answer);
    expect(answer.trailer).toMatchObject({
      items: 2,
      seen: { request_id: answer.requestId, x_request_id: "mine", attempt: 0, instance_id: pair.server.instanceId },
    });
  });

  test("a draining worker finishes what runs and takes no more", async () => {
    const pair = await startPair();
    const batches = pair.client.generate({ count: 50_000, size: 100 }).batches();
    let items = (await batches.next()).value?.length ?? 0;
    const closing = pair.server[Symbol.asyncDispose]();
    for await (const batch of batches) items += batch.length;
    expect(items).toBe(50_000);
    await closing;
    expect((await failureOf(collect(pair.client.generate({ count: 1 })))).code).toBe("unavailable");
    await pair[Symbol.asyncDispose]();
  });
});
