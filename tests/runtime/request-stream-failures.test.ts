// Requests in pieces that do not end well: both ends hear of it, and neither keeps anything.
import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { RuntimeError } from "../../packages/runtime/src/errors.ts";
import type { Handler } from "../../packages/runtime/src/index.ts";
import { eventually } from "../support/cluster.ts";
import { openFleet, type Named } from "./egress/fleet-of-names.ts";
import { address, failureOf } from "./peers.ts";
import { gather, pieces, startUploads, watched, type Upload, type UploadHandler } from "./uploads.ts";

describe("a request stream that fails", () => {
  // Reads until it is told why it must not.
  function reading() {
    const seen: { failure?: unknown; isAborted?: boolean; read: number } = { read: 0 };
    const handler: UploadHandler = async (upload, { signal }) => {
      try {
        for await (const _ of upload) seen.read += 1;
      } catch (error) {
        seen.failure = error;
        seen.isAborted = signal.aborted;
        throw error;
      }
      return "all of it";
    };
    return { seen, handler };
  }

  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) {
      await new Promise(setImmediate);
      yield new Uint8Array(1_000);
    }
  }

  test("at its caller is cancelled at the worker, and the call has the caller's error as its cause", async () => {
    const { seen, handler } = reading();
    await using at = await startUploads(handler);
    const cause = new Error("the disk is gone");
    const failure = await failureOf(
      at.client.call(
        (async function* () {
          yield 1;
          throw cause;
        })(),
      ),
    );
    expect(failure).toMatchObject({
      code: "cancelled",
      message: "the request failed while it was sent: the disk is gone",
    });
    expect(failure.cause).toBe(cause);
    await eventually("the handler's end", () => seen.failure);
    expect(seen).toMatchObject({ isAborted: true, failure: { code: "cancelled" } });
  });

  test("because an item cannot be sent says which part of it, and is told to stop", async () => {
    const { seen, handler } = reading();
    await using at = await startUploads(handler);
    const { items, seen: given } = watched(Readable.from([{ good: 1 }, { bad: () => 1 }, { good: 2 }]));
    expect(await failureOf(at.client.call(items))).toMatchObject({
      code: "invalid_argument",
      message: "an item of the request: bad is a function",
    });
    await eventually("both ends", () => given.isReturned && seen.failure);
  });

  test("because an item is larger than a frame says to give it in pieces", async () => {
    await using at = await startUploads(gather, { worker: { tcpMaxMessageSize: 4_096 } });
    expect(await failureOf(at.client.call(pieces(1, 5_000)))).toMatchObject({
      code: "too_large",
      message: expect.stringMatching(/its reader's limit is 4096, .*: give it in pieces$/),
    });
  });

  test("in its handler has the handler's error, and its iterable is told to stop", async () => {
    await using at = await startUploads(async (upload) => {
      for await (const _ of upload) throw new RuntimeError("invalid_argument", "not this");
      return 0;
    });
    const { items, seen } = watched(endless());
    expect(await failureOf(at.client.call(items))).toMatchObject({ code: "invalid_argument", message: "not this" });
    await eventually("its end", () => seen.isReturned);
  });

  test("is over for both ends when its caller cancels it, or its time is up", async () => {
    for (const [options, code] of [
      [{ signal: new AbortController() }, "cancelled"],
      [{ timeoutMs: 200 }, "deadline_exceeded"],
    ] as const) {
      const { seen, handler } = reading();
      await using at = await startUploads(handler);
      const { items, seen: given } = watched(endless());
      const isByHand = "signal" in options;
      const called = failureOf(at.client.call(items, isByHand ? { signal: options.signal.signal } : options));
      await eventually("some of it", () => seen.read > 0);
      if (isByHand) options.signal.abort(new Error("enough"));
      expect(await called).toMatchObject({ code });
      await eventually("both ends", () => given.isReturned && seen.failure);
      expect(seen.isAborted).toBe(true);
      await eventually("all memory given back", () => at.pair.server.memory.usedBytes === 0);
    }
  });

  test("with its connection is over for both ends, and nobody else is asked", async () => {
    const { seen, handler } = reading();
    await using at = await startUploads(handler);
    const { items, seen: given } = watched(endless());
    const called = failureOf(at.client.call(items, { retry: { attempts: 8 } }));
    await eventually("some of it", () => seen.read > 0);
    await at.pair.caller[Symbol.asyncDispose]();
    expect(await called).toMatchObject({ code: "unavailable" });
    await eventually("both ends", () => given.isReturned && seen.failure);
  });

  test("because its iterable has failed, or that has all of it, does not tell the iterable to stop, which is over", async () => {
    await using at = await startUploads(gather);
    for (const last of [
      () => Promise.resolve({ done: true as const, value: undefined }),
      () => Promise.reject(new Error("the disk is gone")),
    ]) {
      let stops = 0;
      const items: Upload = {
        [Symbol.asyncIterator]: () => ({
          next: last,
          return: () => ((stops += 1), Promise.resolve({ done: true, value: undefined })),
        }),
      };
      await at.client.call(items).catch(() => undefined);
      expect(stops).toBe(0);
    }
  });

  test("because its iterable cannot be read at all asks it once, whatever the policy", async () => {
    await using fleet = await openFleet(0);
    for (let count = 0; count < 2; count += 1) await fleet.start({}, gather as unknown as Handler<Named, unknown>);
    const client = fleet.caller.client<Upload, unknown>(address);
    let asked = 0;
    const items: Upload = {
      [Symbol.asyncIterator]() {
        asked += 1;
        throw new Error("it is closed");
      },
    };
    const failure = await failureOf(client.call(items, { retry: { codes: ["cancelled"] } }));
    expect(failure).toMatchObject({ message: "the request failed while it was sent: it is closed" });
    expect(asked).toBe(1);
  });

  test("does not wait for an iterable that never gives anything", async () => {
    const { seen, handler } = reading();
    await using at = await startUploads(handler);
    const asked = Promise.withResolvers<void>();
    const never: Upload = {
      [Symbol.asyncIterator]: () => ({
        next: () => (asked.resolve(), new Promise<never>(() => undefined)),
        return: () => Promise.reject(new Error("nobody waits for this")),
      }),
    };
    const ended = new AbortController();
    const called = failureOf(at.client.call(never, { signal: ended.signal }));
    await asked.promise;
    ended.abort();
    expect(await called).toMatchObject({ code: "cancelled" });
    await eventually("the handler's end", () => seen.failure);
  });

  test("is finished by a drain that has time, and ended by one that has none", async () => {
    for (const drainTimeoutMs of [60_000, 1]) {
      const { seen, handler } = reading();
      await using at = await startUploads(handler, { worker: { drainTimeoutMs } });
      const sending = { isLast: false };
      const called = at.client
        .call(
          (async function* () {
            while (!sending.isLast) {
              await new Promise(setImmediate);
              yield 1;
            }
          })(),
        )
        .catch((error: unknown) => error);
      await eventually("some of it", () => seen.read > 0);
      const closed = at.pair.server[Symbol.asyncDispose]();
      if (drainTimeoutMs > 1) sending.isLast = true;
      expect(await called).toEqual(drainTimeoutMs > 1 ? "all of it" : expect.objectContaining({ code: "unavailable" }));
      await closed;
    }
  });
});
